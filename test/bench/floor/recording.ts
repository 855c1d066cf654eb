import { evolve, type Rotation, type RotationEvent } from '@rekey/core'
import type pg from 'pg'

/** What one transaction of a rotation has to write, and nothing else. */
export type Step = {
  entries: object[]
  /** Effects that it wants, and those that it settles. */
  wanted: { key: string; kind: string; spec: object }[]
  settled: string[]
  /** The rotation after it. */
  state: Rotation | undefined
}

/** The writes that one rotation cannot do without, in the transactions that they belong to. */
export type Recording = {
  steps: Step[]
  /** Acts: each needs its lease before it, by itself, because the intent must be there before the act is. */
  leased: string[]
  /** Waves: the nodes' proofs come once for each. */
  waves: number
  /** What the auditor must have stored before it is sent. */
  records: object[]
  nodes: string[]
}

/** Reads them off a rotation that has ended. Rows of one transaction have its time. */
export async function record(pool: pg.Pool, rotation: string): Promise<Recording> {
  const { rows: entries } = await pool.query(
    'select type, data, actor, at::text as at, position from journal where stream = $1 order by position',
    [`rotation/${rotation}`],
  )
  const { rows: effects } = await pool.query(
    'select key, kind, spec, created_at::text as created, done_at::text as done from effect where rotation = $1',
    [rotation],
  )
  const records = await recordsOf(
    pool,
    entries.map((entry) => entry.position),
  )
  const { rows: nodes } = await pool.query(
    'select node from placement p join rotation r on r.credential = p.credential where r.id = $1 order by node',
    [rotation],
  )
  const times = new Set([
    ...entries.map((entry) => entry.at),
    ...effects.flatMap((effect) => [effect.created, effect.done ?? []].flat()),
  ])
  let state: Rotation | undefined
  const steps = [...times].sort().map((at): Step => {
    const mine = entries.filter((entry) => entry.at === at)
    for (const { type, data } of mine) state = evolve(state, { type, ...data } as RotationEvent)
    return {
      entries: mine.map(({ type, data, actor }) => ({ type, data, actor })),
      wanted: effects.filter((e) => e.created === at).map(({ key, kind, spec }) => ({ key, kind, spec })),
      settled: effects.filter((e) => e.done === at).map((e) => e.key),
      state: mine.length > 0 ? state : undefined,
    }
  })
  return {
    steps,
    leased: effects.filter((e) => e.kind !== 'timer' && e.done !== null).map((e) => e.key),
    waves: entries.filter((entry) => entry.type === 'WaveStarted').length,
    records,
    nodes: nodes.map((row) => row.node),
  }
}

const LOOK_MS = 100
const STUCK_MS = 60_000

/** The audit records of these entries: the auditor comes a little after the rotation's end. */
async function recordsOf(pool: pg.Pool, positions: number[]): Promise<object[]> {
  const startedAt = performance.now()
  while (performance.now() - startedAt < STUCK_MS) {
    const { rows } = await pool.query(
      'select key, bytes, hash from audit_out where position = any($1) order by position',
      [positions],
    )
    if (rows.length === positions.length) return rows
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  throw new Error('the auditor has not recorded the whole rotation')
}

/** How often it must be waited for the disk. */
export function commitsOf({ steps, leased, waves, records }: Recording): number {
  // Its event and its opening are one; one report of counters; the records are stored, then marked.
  return steps.length + leased.length + waves + 1 + (records.length > 0 ? 2 : 0)
}
