import { migrate, openLedger } from '@rekey/ledger'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Servers } from '../servers.ts'
import { credentialOf, namesOf, workloadOf } from './documents.ts'

/** No credential of a world has this number. */
const TEMPLATE = 99_999
const TABLES = ['workload', 'credential', 'rotation', 'generation', 'effect']

/**
 * Many routine rotations whose first effects are due: copies of one that a ledger opened and took so far. They go on from
 * there as any other, without nodes.
 */
export class Backlog {
  readonly #rows: [table: string, rows: string][]

  private constructor(rows: [table: string, rows: string][]) {
    this.#rows = rows
  }

  static async prepare(servers: Servers): Promise<Backlog> {
    const url = await servers.createDatabase()
    await migrate(url)
    const ledger = openLedger({ url, name: 'bench' })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      const names = namesOf(TEMPLATE, 0)
      await ledger.configure([workloadOf(names), ...credentialOf(names)], { apply: true, actor: 'bench' })
      while ((await ledger.fireTimers('bench')) > 0);
      const rows: [string, string][] = []
      for (const table of TABLES) {
        const { rows: found } = await client.query(
          `select coalesce(jsonb_agg(to_jsonb(t)), '[]')::text as rows from ${table} t`,
        )
        rows.push([table, found[0].rows])
      }
      return new Backlog(rows)
    } finally {
      await Promise.all([ledger.close(), client.end()])
    }
  }

  /** Writes so many of them, all at once. */
  async write(pool: pg.Pool, count: number): Promise<void> {
    const client = await pool.connect()
    try {
      await client.query('begin')
      for (const [table, rows] of this.#rows) {
        const { rows: columns } = await client.query(
          `select string_agg(quote_ident(column_name), ', ') as names from information_schema.columns
           where table_name = $1 and is_generated = 'NEVER'`,
          [table],
        )
        await client.query(
          `insert into ${table} (${columns[0].names})
           select ${columns[0].names} from generate_series(1, $2) as n
           cross join lateral jsonb_populate_recordset(null::${table},
             replace($1, '-${TEMPLATE}', '-copy-' || lpad(n::text, 5, '0'))::jsonb)`,
          [rows, count],
        )
      }
      await client.query("select pg_notify('rekey_effects', '')")
      await client.query('commit')
    } finally {
      client.release()
    }
  }
}

/** The jobs that wait in the rotator's queue, as Redis has them. */
export class RotatorQueue {
  readonly #redis: Redis

  constructor(servers: Servers) {
    this.#redis = new Redis(servers.redisUrl, { protocol: 2 })
  }

  waiting(): Promise<number> {
    return this.#redis.llen('bull:rotator:wait')
  }

  /** What nobody took: the next world would begin with it. */
  async empty(): Promise<void> {
    for await (const keys of this.#redis.scanStream({ match: 'bull:rotator:*', count: 1_000 }))
      if (keys.length > 0) await this.#redis.unlink(...keys)
  }

  close(): void {
    this.#redis.disconnect()
  }
}
