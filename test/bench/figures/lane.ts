import type { Ledger } from '@rekey/ledger'
import { Bell } from '@rekey/runtime'
import type pg from 'pg'
import type { Bench } from '../bench.ts'
import type { Figure } from '../report.ts'
import { digits, percentile, spread } from '../statistics.ts'
import { Backlog, RotatorQueue } from '../world/backlog.ts'
import { startWorld, type World } from '../world/world.ts'

const STUCK_MS = 120_000
/** What a call of Vault or Secrets Manager takes over a network. */
const STORE_MS = 20

type Times = { act: number; end: number }
type Run = { idle: Times[]; behind: Times[]; jobs: number; routinePerS: number }

/** An emergency on an idle system, and behind as many routine jobs as a mass change leaves. */
export async function lane({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const size = quick ? { count: 2, rotations: 200, jobs: 0 } : { count: 25, rotations: 12_000, jobs: 10_000 }
  const backlog = await Backlog.prepare(servers)
  const rows: string[][] = []
  for (const storeMs of [STORE_MS, 0]) {
    const done: Run[] = []
    for (let run = 0; run < runs; run++) {
      say(`lane: run ${run + 1} of ${runs}, stores that take ${storeMs} ms`)
      done.push(await once({ servers, backlog, storeMs, ...size }))
    }
    rows.push(...rowsOf(storeMs, done))
  }
  return {
    name: 'lane',
    floor: 'the same emergency on an idle system, in the same run',
    tables: [
      {
        title: `an emergency, milliseconds (${runs} runs: middle, least and most)`,
        columns: [
          'stores take',
          'until',
          'samples',
          'idle p50',
          'behind p50',
          'ratio',
          'idle p99',
          'behind p99',
          'ratio',
          'jobs before it, at least',
          'routine effects/s',
        ],
        rows,
      },
    ],
    notes: [
      'from the order being sent; an emergency: mode expedite, 3 nodes, 2 stores, one after the other',
      `behind: ${size.rotations} routine rotations whose first effects are due are written at once, and go on all the time; jobs are those that wait in BullMQ’s queue when the order is sent`,
      'stores that take no time leave nothing to the routine work but the processors, which everything here shares',
    ],
  }
}

function rowsOf(storeMs: number, runs: Run[]): string[][] {
  const row = (what: string, of: (times: Times) => number): string[] => {
    const at = (share: number) => {
      const pairs = runs.map(({ idle, behind }) => ({
        idle: percentile(idle.map(of), share),
        behind: percentile(behind.map(of), share),
      }))
      return [
        spread(pairs.map((pair) => pair.idle)),
        spread(pairs.map((pair) => pair.behind)),
        spread(pairs.map((pair) => pair.behind / pair.idle)),
      ]
    }
    const samples = runs.reduce((sum, { behind }) => sum + behind.length, 0)
    return [
      `${storeMs} ms`,
      what,
      String(samples),
      ...at(0.5),
      ...at(0.99),
      digits(Math.min(...runs.map((run) => run.jobs))),
      spread(runs.map((run) => run.routinePerS)),
    ]
  }
  return [row('its first act begins', (times) => times.act), row('it has ended', (times) => times.end)]
}

type Size = {
  servers: Bench['servers']
  backlog: Backlog
  storeMs: number
  count: number
  rotations: number
  jobs: number
}

async function once({ servers, backlog, storeMs, count, rotations, jobs }: Size): Promise<Run> {
  const acts = new Map<string, (at: bigint) => void>()
  const queue = new RotatorQueue(servers)
  const world = await startWorld({
    servers,
    credentials: 10,
    nodesEach: 3,
    storeMs,
    onAct: ({ began, at }) => acts.get(began)?.(BigInt(at)),
  })
  const watch = new Watch(world.ledger, world.pool)
  try {
    const idle: Times[] = []
    for (let i = 0; i < count; i++) idle.push(await emergency(world, i, acts, watch))
    await backlog.write(world.pool, rotations)
    await untilQueued(queue, jobs)
    const before = await routineDone(world.pool)
    const startedAt = performance.now()
    const behind: Times[] = []
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < count; i++) {
      least = Math.min(least, await queue.waiting())
      behind.push(await emergency(world, i, acts, watch))
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const routinePerS = ((await routineDone(world.pool)) - before) / seconds
    return { idle, behind, jobs: least, routinePerS }
  } finally {
    await watch.close()
    await world.close()
    await queue.empty()
    queue.close()
  }
}

/** From the order to the first call of a store, and to the end. */
async function emergency(
  { ledger, credentials }: World,
  index: number,
  acts: Map<string, (at: bigint) => void>,
  watch: Watch,
): Promise<Times> {
  const { credential } = credentials[index % credentials.length] ?? { credential: '' }
  const [known] = await ledger.listCredentials(credential)
  const generation = Math.max(...(known?.generations.map((g) => g.generation) ?? [])) + 1
  const key = `${credential}-g${generation}.stage.vault-g${generation}`
  const began = new Promise<bigint>((resolve) => acts.set(key, resolve))
  // Nodes report once a second and drains are looked at twice: one after the other, all would meet those at one moment.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000))
  const sentAt = process.hrtime.bigint()
  const { rotation } = await ledger.start(credential, {
    cause: { kind: 'order', actor: 'bench', reason: 'bench' },
    mode: 'expedite',
    goal: 'replace',
    compromised: [],
  })
  await watch.closed(rotation)
  const endedAt = process.hrtime.bigint()
  const ms = (at: bigint) => Number(at - sentAt) / 1e6
  const times = { act: ms(await began), end: ms(endedAt) }
  acts.delete(key)
  return times
}

/** Sees the end of a rotation as soon as it is announced. */
class Watch {
  readonly #bell = new Bell()
  readonly #listener: { close(): Promise<void> }
  readonly #pool: pg.Pool
  readonly #never = new AbortController()

  constructor(ledger: Ledger, pool: pg.Pool) {
    this.#pool = pool
    this.#listener = ledger.onEffects((of) => of === 'emergency' && this.#bell.ring())
  }

  async closed(rotation: string): Promise<void> {
    for (const end = performance.now() + STUCK_MS; performance.now() < end; ) {
      const { rows } = await this.#pool.query({
        name: 'closed',
        text: 'select from rotation where id = $1 and closed_at is not null',
        values: [rotation],
      })
      if (rows.length > 0) return
      await this.#bell.wait(500, this.#never.signal)
    }
    throw new Error(`${rotation} has not ended after ${STUCK_MS / 1_000} s`)
  }

  close(): Promise<void> {
    return this.#listener.close()
  }
}

async function untilQueued(queue: RotatorQueue, jobs: number): Promise<void> {
  for (const end = performance.now() + STUCK_MS; performance.now() < end; ) {
    if ((await queue.waiting()) >= jobs) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`fewer than ${jobs} jobs are queued after ${STUCK_MS / 1_000} s`)
}

async function routineDone(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query(
    "select count(*)::int as n from effect where state = 'done' and rotation like '%copy-%'",
  )
  return rows[0].n
}
