import type { Answer } from './knocks.ts'

export type Seen = {
  /** When the first and the last of all places was first seen to refuse. */
  first: number
  last: number
  /** How many knocks it took. */
  knocks: number
}

/** As long as most accept, so many are asked at a time, spread over all that still do: the first of them among them. */
const SCOUTS = 8
const APART_MS = 4

/**
 * Asks until every place has refused. Asking a thousand all the time would be the load that it measures, so a few are
 * asked often, and all that are left as soon as half of those refuse. What refused once is asked again at the end.
 */
export async function vigil(
  places: number,
  ask: (places: number[]) => Promise<Answer[]>,
  pause: (ms: number) => Promise<void>,
): Promise<Seen> {
  let pending = Array.from({ length: places }, (_, index) => index)
  let [first, last, knocks] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]
  let isFalling = false
  while (pending.length > 0) {
    const asked: number[] = isFalling ? pending : spread(pending, SCOUTS)
    const answers = await ask(asked)
    knocks += asked.length
    const refused = new Set<number>()
    for (const [turn, { accepted, at }] of answers.entries()) {
      if (accepted) continue
      refused.add(asked[turn] ?? -1)
      first = Math.min(first, at)
      last = Math.max(last, at)
    }
    pending = pending.filter((place) => !refused.has(place))
    isFalling = refused.size * 2 >= asked.length
    if (!isFalling) await pause(APART_MS)
  }
  const again = await ask(Array.from({ length: places }, (_, index) => index))
  const back = again.filter(({ accepted }) => accepted).length
  if (back > 0) throw new Error(`${back} of ${places} places refused it, and accepted it again`)
  return { first, last, knocks: knocks + places }
}

function spread(all: number[], count: number): number[] {
  if (all.length <= count) return all
  return Array.from({ length: count }, (_, turn) => all[Math.floor((turn * all.length) / count)] ?? 0)
}
