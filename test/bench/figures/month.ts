import type pg from 'pg'
import type { Bench } from '../bench.ts'
import { withQuota } from '../quota.ts'
import type { Figure, Table } from '../report.ts'
import { digits, percentile } from '../statistics.ts'
import { type Driven, drive } from '../world/drive.ts'
import { startWorld } from '../world/world.ts'

const NODES = 3
/** Secrets Manager takes 50 writes a second in one account and region. */
const AWS_WRITES_PER_S = 50
/** At the least, to stage and to promote; with the labels that Rekey moves besides it is twice that. */
const WRITES_EACH = [2, 4]

/** A month of a large company in one go: does it slow down as the tables grow, and what limits it? */
export async function month({ servers, quick, say }: Bench): Promise<Figure> {
  const size = quick
    ? { rotations: 12, parallel: 4, throttled: 4 }
    : { rotations: 20_000, parallel: 100, throttled: 500 }
  const { rotations, parallel, throttled } = size
  say(`month: ${parallel} credentials and ${parallel * NODES} nodes are set up`)
  const world = await startWorld({ servers, credentials: parallel, nodesEach: NODES })
  const ends: number[] = []
  let driven: Driven
  let tables: Table
  const lags: Lag[] = []
  try {
    const before = await sizes(world.pool)
    const startedAt = performance.now()
    const lagWatch = setInterval(() => void lag(world.pool).then((l) => lags.push(l)), quick ? 200 : 10_000)
    driven = await drive(world, rotations, (done) => {
      ends.push(performance.now() - startedAt)
      if (done % 1_000 === 0)
        say(`month: ${done} of ${rotations} after ${Math.round((ends.at(-1) ?? 0) / 1_000)} s`)
    }).finally(() => clearInterval(lagWatch))
    tables = tableOf(before, await sizes(world.pool))
  } finally {
    await world.close()
  }
  say(`month: ${throttled} under the quota`)
  const quota = await throttledRun(servers, { rotations: throttled, parallel: Math.min(parallel, throttled) })
  return {
    name: 'month',
    floor: 'none of its own: 15 minutes (22.2 rotations/s) were asked for; see rotations for the ratio',
    tables: [
      {
        title: `${rotations} rotations, ${parallel} at once`,
        columns: ['', ''],
        rows: [
          ['minutes', digits(driven.seconds / 60)],
          ['rotations/s', digits(driven.perS)],
          ['p50 s', digits(driven.p50 / 1_000)],
          ['p99 s', digits(driven.p99 / 1_000)],
          ['writing transactions each', digits(driven.commits / rotations)],
          ...[...driven.cpu].map(([name, s]) => [`${name}, ms each`, digits((s / rotations) * 1_000)]),
          [
            'audit records behind the journal, p50 and most',
            `${digits(
              percentile(
                lags.map((l) => l.audit),
                0.5,
              ),
            )}, ${digits(Math.max(...lags.map((l) => l.audit)))}`,
          ],
        ],
      },
      {
        title: 'over time: each tenth of them',
        columns: ['tenth', 'rotations/s', 'p50 s'],
        rows: tenths(driven, ends),
      },
      tables,
      {
        title: `with Secrets Manager's quota of ${AWS_WRITES_PER_S} writes/s in one account and region, in simulated time over the measured times`,
        columns: ['quota', 'minutes', 'rotations/s'],
        rows: [
          ['none', withQuota({ rotations, parallel, times: driven.times })],
          ...WRITES_EACH.map((writes): [string, number] => [
            `${AWS_WRITES_PER_S / writes} rotations/s (${writes} writes each)`,
            withQuota({ rotations, parallel, times: driven.times, perS: AWS_WRITES_PER_S / writes }),
          ]),
        ].map(([what, s]) => [String(what), digits(Number(s) / 60), digits(rotations / Number(s))]),
      },
      {
        title: `measured: a store that refuses what is above ${AWS_WRITES_PER_S} writes/s (stage, promote and destroy are one each)`,
        columns: ['rotations', 'rotations/s', 'p50 s', 'p99 s', 'refused writes', 'rotations with a hold'],
        rows: [
          [
            String(throttled),
            digits(quota.driven.perS),
            digits(quota.driven.p50 / 1_000),
            digits(quota.driven.p99 / 1_000),
            String(quota.refused),
            String(quota.held),
          ],
        ],
      },
    ],
    notes: ['once, not best of several: it takes its time'],
  }
}

async function throttledRun(
  servers: Bench['servers'],
  { rotations, parallel }: { rotations: number; parallel: number },
): Promise<{ driven: Driven; refused: number; held: number }> {
  const world = await startWorld({
    servers,
    credentials: parallel,
    nodesEach: NODES,
    awsWritesPerS: AWS_WRITES_PER_S,
  })
  try {
    const driven = await drive(world, rotations)
    const { rows } = await world.pool.query(
      `select (select sum(attempt - 1)::int from effect where store = 'aws') as refused,
              (select count(distinct stream)::int from journal where type = 'HoldPlaced') as held`,
    )
    return { driven, ...rows[0] }
  } finally {
    await world.close()
  }
}

function tenths({ times }: Driven, ends: number[]): string[][] {
  const length = Math.max(1, Math.floor(ends.length / 10))
  return Array.from({ length: Math.min(10, ends.length) }, (_, i) => {
    const from = i === 0 ? 0 : (ends[i * length - 1] ?? 0)
    const seconds = ((ends[(i + 1) * length - 1] ?? 0) - from) / 1_000
    const mine = times.slice(i * length, (i + 1) * length)
    return [String(i + 1), digits(length / seconds), digits(percentile(mine, 0.5) / 1_000)]
  })
}

type Lag = { audit: number }

/** Entries of the journal that have no record yet. */
async function lag(pool: pg.Pool): Promise<Lag> {
  const { rows } = await pool.query(
    "select (select value from counter where name = 'position') - coalesce((select max(position) from audit_out), 0) as audit",
  )
  return { audit: Number(rows[0].audit) }
}

type Size = { rows: number; dead: number; bytes: number; vacuums: number; analyzes: number }

async function sizes(pool: pg.Pool): Promise<Map<string, Size>> {
  const { rows } = await pool.query(
    `select relname as table, n_live_tup::float8 as rows, n_dead_tup::float8 as dead,
            pg_total_relation_size(relid)::float8 as bytes, autovacuum_count::int as vacuums, autoanalyze_count::int as analyzes
     from pg_stat_user_tables order by pg_total_relation_size(relid) desc`,
  )
  return new Map(rows.map(({ table, ...size }) => [table, size]))
}

function tableOf(before: Map<string, Size>, after: Map<string, Size>): Table {
  return {
    title: 'tables at the end',
    columns: [
      'table',
      'rows',
      'dead rows',
      'MB with indexes',
      'MB at the start',
      'autovacuums',
      'autoanalyzes',
    ],
    rows: [...after]
      .filter(([, { bytes }]) => bytes > 100_000)
      .map(([table, { rows, dead, bytes, vacuums, analyzes }]) => [
        table,
        digits(rows),
        digits(dead),
        digits(bytes / 1e6),
        digits((before.get(table)?.bytes ?? 0) / 1e6),
        String(vacuums),
        String(analyzes),
      ]),
  }
}
