import { type Check, trafficOf } from '../display.ts'
import { CREDENTIAL } from '../stage.ts'
import type { CaseName, Seen } from './leaked-key.ts'

/** Whoever holds a leaked key has no time to wait for whose it is. */
const WHO_MS_MAX = 1_000

export function judge(name: CaseName, seen: Seen): Check[] {
  const { who, said, leaked, expedite, knocks, tally, generation, told, noticed } = seen
  const alarm = told.find(({ severity, resolves }) => severity === 'critical' && !resolves)
  const [first] = who.found
  const all = (answers: number[], status: number) =>
    answers.length === 3 && answers.every((a) => a === status)
  const check = (what: string, ok: boolean, told: string) => ({ name: `${name}: ${what}`, ok, seen: told })
  return [
    check(
      'whose it is',
      who.found.length === 1 && first?.credential === CREDENTIAL && first.generation === generation,
      `${first?.credential} generation ${first?.generation}, in ${first?.stores.join(' and ')}, on ${first?.nodes.length} nodes, owner ${first?.owner}`,
    ),
    check('the answer came in time', who.ms < WHO_MS_MAX, `${who.ms} ms, the start of the command included`),
    check(
      'the key is dead',
      all(knocks.before, 200) && all(knocks.after, 401) && expedite.exit === 0,
      `accepted before ${knocks.before}, after ${knocks.after}; proved ${expedite.ms} ms after the order`,
    ),
    check('the next one works', all(knocks.next, 200), `${knocks.next}`),
    check(
      'no failed request',
      tally.ok > 0 && tally.failed === 0 && tally.streamsFailed === 0,
      [trafficOf(tally), ...tally.failures].join('; '),
    ),
    check(
      'the owner was told of the leak and of its end',
      alarm !== undefined && told.at(-1)?.resolves === true,
      `${told.length} notices; the first alarm: ${alarm?.summary}`,
    ),
    check(
      'who tries the dead key is noticed',
      (noticed.knocks?.requests ?? 0) > 0 && noticed.told?.resolves === false,
      `${noticed.knocks?.requests} knocks from ${noticed.knocks?.from.map((k) => k.address).join(', ')}; the owner was told: ${noticed.told?.summary}`,
    ),
    check('the pasted string is nowhere', !said.includes(leaked.reveal()), 'in nothing that was said'),
  ]
}
