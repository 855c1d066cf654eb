import { migrate } from '@rekey/ledger'
import pg from 'pg'
import type { Bench } from '../bench.ts'
import { commitsOf, type Recording, record } from '../floor/recording.ts'
import type { Figure } from '../report.ts'
import type { Servers } from '../servers.ts'
import { digits, spread } from '../statistics.ts'
import { drive } from '../world/drive.ts'
import { startWorld } from '../world/world.ts'

const NODES = 3

/** Rows and log of PostgreSQL that a rotation leaves, beside its journal written by itself. */
export async function footprint({ servers, quick, runs, say }: Bench): Promise<Figure> {
  const { parallel, count } = quick ? { parallel: 2, count: 2 } : { parallel: 10, count: 50 }
  const world = await startWorld({ servers, credentials: parallel, nodesEach: NODES })
  try {
    const [first] = world.credentials
    if (!first) throw new Error('no credential')
    await world.rotate(first)
    const recording = await record(world.pool, `${first.credential}-g2`)
    const log: { real: number; idle: number; floor: number; commits: number }[] = []
    const before = await written(world.pool)
    for (let run = 0; run < runs; run++) {
      say(`footprint: run ${run + 1} of ${runs}`)
      // What nodes report goes on without any rotation, and is not a rotation's.
      const idlePerS = (await logged(world.pool, () => pause(3_000))) / 3
      let seconds = 0
      let commits = 0
      const bytes = await logged(world.pool, async () => {
        const driven = await drive(world, count)
        seconds = driven.seconds
        commits = driven.commits
      })
      const idle = idlePerS * seconds
      log.push({
        real: (bytes - idle) / count,
        idle: idle / count,
        floor: await journalAlone(servers, recording, count),
        commits: commits / count,
      })
    }
    const after = await written(world.pool)
    const rotations = runs * count
    const kept = [...after].map(([table, now]) => {
      const was = before.get(table) ?? { inserted: 0, updated: 0, bytes: 0 }
      const each = (pick: (counts: Written) => number) => digits((pick(now) - pick(was)) / rotations)
      return { table, cells: [each((c) => c.inserted), each((c) => c.updated), each((c) => c.bytes)] }
    })
    return {
      name: 'footprint',
      floor: `its journal's ${recording.steps.reduce((sum, step) => sum + step.entries.length, 0)} rows by themselves, in the same transactions, in a table of their own with the same indexes`,
      tables: [
        {
          title: `bytes of PostgreSQL's log for one rotation of ${NODES} nodes and 2 stores (${runs} runs of ${count} after a checkpoint)`,
          columns: ['', 'bytes', 'writing transactions'],
          rows: [
            ['ours', spread(log.map((l) => l.real)), spread(log.map((l) => l.commits))],
            [
              'floor',
              spread(log.map((l) => l.floor)),
              String(recording.steps.filter((s) => s.entries.length > 0).length),
            ],
            ['ours ÷ floor', spread(log.map((l) => l.real / l.floor)), ''],
            ['reports of nodes meanwhile, left out', spread(log.map((l) => l.idle)), ''],
          ],
        },
        {
          title: `rows for one rotation (mean of ${rotations}), and what the table has grown`,
          columns: ['table', 'inserted', 'updated', 'bytes with indexes'],
          rows: kept
            .filter(({ cells }) => cells.some((cell) => cell !== '0'))
            .map(({ table, cells }) => [table, ...cells]),
        },
      ],
      notes: [
        `a rotation needs ${commitsOf(recording)} commits at the least, see rotations`,
        'updated counts the reports of nodes too; a table grows by what autovacuum has not yet given back',
      ],
    }
  } finally {
    await world.close()
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** After a checkpoint, so that each run starts with the same pages to be written whole. */
async function logged(pool: pg.Pool, work: () => Promise<void>): Promise<number> {
  await pool.query('checkpoint')
  const at = async () =>
    (await pool.query("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as at")).rows[0].at
  const before = Number(await at())
  await work()
  return Number(await at()) - before
}

type Written = { inserted: number; updated: number; bytes: number }

async function written(pool: pg.Pool): Promise<Map<string, Written>> {
  // What a connection has counted is told at its leisure.
  await pause(1_500)
  const { rows } = await pool.query(
    `select relname as table, n_tup_ins::float8 as inserted, n_tup_upd::float8 as updated,
            pg_total_relation_size(relid)::float8 as bytes
     from pg_stat_user_tables order by relname`,
  )
  return new Map(rows.map(({ table, ...counts }) => [table, counts]))
}

async function journalAlone(servers: Servers, { steps }: Recording, count: number): Promise<number> {
  const url = await servers.createDatabase()
  await migrate(url)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  try {
    const bytes = await logged(pool, async () => {
      let position = 0
      for (let rotation = 0; rotation < count; rotation++) {
        let seq = 0
        for (const { entries } of steps) {
          if (entries.length === 0) continue
          await pool.query({
            name: 'journal',
            text: `insert into journal (position, stream, seq, type, data, actor)
                   select $1 + n, $2, $3 + n, entry ->> 'type', entry -> 'data', entry ->> 'actor'
                   from jsonb_array_elements($4::jsonb) with ordinality as item (entry, n)`,
            values: [position, `rotation/bare-${rotation}`, seq, JSON.stringify(entries)],
          })
          position += entries.length
          seq += entries.length
        }
      }
    })
    return bytes / count
  } finally {
    await pool.end()
  }
}
