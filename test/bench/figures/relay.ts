import type { Bench } from '../bench.ts'
import { bareNotify } from '../floor/notify.ts'
import type { Figure } from '../report.ts'
import { digits, percentile, spread } from '../statistics.ts'
import { watchCommits } from '../world/commits.ts'
import { startWorld, type World } from '../world/world.ts'

const WAIT_MS = 30_000

/** From the commit that writes an effect to the first call of its act, in another process. */
export async function relay({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const { count, direct } = quick ? { count: 3, direct: 2 } : { count: 60, direct: 40 }
  const commits = watchCommits()
  const acts = new Map<string, (at: bigint) => void>()
  const bare = await bareNotify(servers)
  const world = await startWorld({
    servers,
    credentials: direct,
    nodesEach: 3,
    // So that a rotation of this kind ends soon, and the next sample finds everybody at rest.
    rollout: { expediteDrainMs: 0 },
    onAct: ({ began, at }) => acts.get(began)?.(BigInt(at)),
  })
  const woken: number[][] = []
  const heard: number[][] = []
  const answered: number[][] = []
  const taken: number[] = []
  try {
    for (let run = 0; run < runs; run++) {
      say(`relay: run ${run + 1} of ${runs}`)
      const floor: { heard: number; answered: number }[] = []
      const real: number[] = []
      for (let i = 0; i < count; i++) {
        floor.push(await bare.once())
        const { rotation, ms } = await sample(world, i % direct, acts, commits.lastAt)
        real.push(ms)
        await world.closed(rotation)
      }
      woken.push(real)
      heard.push(floor.map((f) => f.heard))
      answered.push(floor.map((f) => f.answered))
    }
    say(`relay: ${direct} without the conductor`)
    await world.stopConductor()
    for (let i = 0; i < direct; i++) taken.push((await sample(world, i, acts, commits.lastAt)).ms)
  } finally {
    commits.stop()
    await world.close()
    await bare.close()
  }
  const row = (what: string, samples: number[][]) => [
    what,
    String(samples.flat().length),
    spread(samples.map((s) => percentile(s, 0.5))),
    spread(samples.map((s) => percentile(s, 0.99))),
    digits(percentile(samples.flat(), 0.5) / percentile(answered.flat(), 0.5)),
  ]
  return {
    name: 'relay',
    floor:
      'one commit with a NOTIFY, until a bare client hears it and until it then has the answer of one Redis call: both in one process',
    tables: [
      {
        title: `milliseconds from the commit being sent (${runs} runs: middle, least and most)`,
        columns: ['way', 'samples', 'p50', 'p99', 'p50 ÷ floor'],
        rows: [
          row('NOTIFY is heard', heard),
          row('and Redis has answered: the floor', answered),
          row('the act begins, woken by the conductor', woken),
          row('the act begins, taken from the ledger', [taken]),
        ],
      },
    ],
    notes: [
      'woken: commit, conductor hears it, asks for and marks what is due, adds a job; the rotator takes the job, then the lease, then acts: three processes, two more commits',
      'taken from the ledger: with no conductor, half a second of grace is waited on purpose, for a wake-up that may be under way',
      'one effect at a time, everybody else at rest but for the nodes’ reports',
    ],
  }
}

/** An emergency: its first effect is written by the transaction that opens it, here. */
async function sample(
  { ledger, credentials }: World,
  index: number,
  acts: Map<string, (at: bigint) => void>,
  lastCommit: () => bigint,
): Promise<{ rotation: string; ms: number }> {
  const { credential } = credentials[index] ?? { credential: '' }
  const [known] = await ledger.listCredentials(credential)
  const generation = Math.max(...(known?.generations.map((g) => g.generation) ?? [])) + 1
  const key = `${credential}-g${generation}.stage.vault-g${generation}`
  const { promise: began, resolve, reject } = Promise.withResolvers<bigint>()
  const late = setTimeout(() => reject(new Error(`${key} has not begun after ${WAIT_MS / 1_000} s`)), WAIT_MS)
  acts.set(key, resolve)
  try {
    const { rotation } = await ledger.start(credential, {
      cause: { kind: 'order', actor: 'bench', reason: 'bench' },
      mode: 'expedite',
      goal: 'replace',
      compromised: [],
    })
    const sentAt = lastCommit()
    return { rotation, ms: Number((await began) - sentAt) / 1e6 }
  } finally {
    clearTimeout(late)
    acts.delete(key)
  }
}
