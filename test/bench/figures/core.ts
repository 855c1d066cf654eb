import {
  decide,
  type Effect,
  evolveAll,
  type Facts,
  type Input,
  type Member,
  open,
  type Plan,
  type Rotation,
  rolloutsOf,
} from '@rekey/core'
import type { Bench } from '../bench.ts'
import type { Figure } from '../report.ts'
import { inTurn, spread } from '../statistics.ts'
import { resultOf } from '../world/result.ts'

const NODES = 3

const PLAN: Plan = {
  direction: 'inbound',
  slots: 2,
  soakMs: null,
  refusalLagMs: 0,
  stores: ['vault', 'aws'],
  waves: [1, '10%', '100%'],
  settleMs: 0,
  waveDeadlineMs: 300_000,
  quietMs: 0,
  readerCacheMs: 0,
  drainCapMs: 3_600_000,
  expediteDrainMs: 5_000,
  windows: [],
  evidenceMs: 15_000,
  overdueMs: 7_200_000,
}

/** Decisions a second of the core by itself, with nothing around it but a world that obeys. */
export async function core({ quick, runs }: Bench): Promise<Figure> {
  const rotations = quick ? 20 : 2_000
  const script = playOnce()
  const pairs = await inTurn(
    runs,
    async () => perSecond(rotations * script.length, () => copyAll(script, rotations)),
    async () => perSecond(rotations * script.length, () => decideAll(script, rotations)),
  )
  return {
    name: 'core',
    floor: 'a copy of the same states by JSON, which storing and loading one costs anyway',
    tables: [
      {
        title: `decisions (${runs} runs of ${rotations * script.length}: middle, least and most)`,
        columns: ['inputs of a rotation', 'decisions/s', 'floor/s', 'floor ÷ ours'],
        rows: [
          [
            String(script.length),
            spread(pairs.map((pair) => pair.real)),
            spread(pairs.map((pair) => pair.floor)),
            spread(pairs.map((pair) => pair.floor / pair.real)),
          ],
        ],
      },
    ],
    notes: [`one rotation with ${NODES} nodes and 2 stores, each input decided and its events folded`],
  }
}

/** One thread, so processor time is the time that it takes, whoever else is at work. */
function perSecond(count: number, work: () => void): number {
  work()
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return count / ((user + system) / 1e6)
}

type Played = { before: Rotation; input: Input; facts: Facts }

function decideAll(script: Played[], times: number): void {
  for (let i = 0; i < times; i++)
    for (const { before, input, facts } of script) evolveAll(before, decide(before, input, facts).events)
}

function copyAll(script: Played[], times: number): void {
  for (let i = 0; i < times; i++) for (const { before } of script) JSON.parse(JSON.stringify(before))
}

/** Everything that a rotation is told from its opening to its end, with the state that it was in. */
function playOnce(): Played[] {
  const members = Array.from(
    { length: NODES },
    (_, n): Member => ({
      node: `node-${n}`,
      excused: false,
      lost: false,
      provedRevision: 0,
      accepts: [1],
      reportedAt: 0,
      usage: [],
    }),
  )
  let now = 1_000_000
  const facts = (): Facts => ({ now, members: structuredClone(members), nextGeneration: 2, leasedUntil: 0 })
  const opened = open(
    {
      id: 'key-g2',
      credential: 'key',
      cause: { kind: 'order', actor: 'bench', reason: 'bench' },
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
      movedAt: null,
      jitterMs: 0,
      alreadyDead: false,
      plan: PLAN,
      base: 1,
      revision: 0,
    },
    facts(),
  )
  let { rotation } = opened
  const due: Effect[] = [...opened.effects]
  const script: Played[] = []
  const give = (input: Input) => {
    const before = rotation
    const { events, effects } = decide(before, input, facts())
    script.push({ before, input, facts: facts() })
    rotation = evolveAll(before, events) ?? before
    due.push(...effects)
    if (events.some((event) => event.type === 'RevocationAnnounced'))
      give({ type: 'AuditAcknowledged', generation: 1 })
  }
  while (!rotation.outcome) {
    due.sort((a, b) => a.due - b.due)
    const effect = due.shift()
    if (!effect) throw new Error(`the rotation does not go on: ${JSON.stringify(rotation)}`)
    now = Math.max(now + 1, effect.due)
    for (const member of members) member.reportedAt = now
    if (effect.kind === 'timer') give({ type: 'TimerFired', timer: effect.timer })
    else give({ type: 'EffectDone', effect, result: resultOf(effect) })
    for (const { revision, accept, waves, wave } of rolloutsOf(rotation)) {
      const told = members.filter((m) => waves[wave]?.includes(m.node) && m.provedRevision < revision)
      for (const member of told) Object.assign(member, { provedRevision: revision, accepts: accept })
      if (told.length > 0) give({ type: 'WaveProved', revision })
    }
  }
  return script
}
