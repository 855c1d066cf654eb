import { RekeyError } from '@rekey/contracts'
import { FORMAT } from '@rekey/core'
import pg from 'pg'

export type Queryable = Pick<pg.ClientBase, 'query'> & {
  /** The newest format of a stored rotation that this process reads; absent: its release's. */
  readonly format?: number
}

// Positions, revisions and sessions stay far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export type Database = {
  pool: pg.Pool
  readonly format: number
  /** Runs `work` in one transaction; a deadlock or serialization failure runs it again. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const RETRIED = new Set(['40001', '40P01'])
/** A migration has changed what a prepared statement returns: only a new connection knows of it. */
const OUTDATED = '0A000'

export function connectDatabase(
  url: string,
  name: string,
  { max = 10, queryMs = 35_000, format = FORMAT }: { max?: number; queryMs?: number; format?: number } = {},
): Database {
  const pool = new pg.Pool({
    Client: PreparingClient,
    connectionString: url,
    application_name: name,
    max,
    connectionTimeoutMillis: Math.min(5_000, queryMs),
    // A transaction whose process froze must not hold a credential's lock for ever.
    idle_in_transaction_session_timeout: 10_000,
    statement_timeout: 30_000,
    // A half-open connection answers neither.
    query_timeout: queryMs,
    keepAlive: true,
    // Every statement here is served best by one and the same plan, whatever its values: none asks "this one, or all".
    options: '-c plan_cache_mode=force_generic_plan',
  })
  // A lost idle connection is replaced at the next query.
  pool.on('error', () => undefined)
  // The pool stops listening before whoever asked for the connection can begin. A server that ends in that moment would end
  // the process; like this the next query says so.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return {
    pool,
    format,
    async transaction(work) {
      for (let attempt = 1; ; attempt++) {
        const client = await pool.connect().catch((error: unknown) => {
          throw unavailable(error)
        })
        let broken: Error | undefined
        // The pool listens only while it keeps the connection: unheard, its end would end the process.
        const onError = (error: Error) => {
          broken = error
        }
        client.on('error', onError)
        try {
          await client.query('begin')
          const result = await work({ query: client.query.bind(client), format } as Queryable)
          await client.query('commit')
          return result
        } catch (error) {
          await client.query('rollback').catch((failed: Error) => {
            broken = failed
          })
          const code = error instanceof pg.DatabaseError ? error.code : undefined
          if (code === OUTDATED) broken = error as Error
          if (attempt < 5 && code !== undefined && (code === OUTDATED || RETRIED.has(code))) continue
          throw error
        } finally {
          client.removeListener('error', onError)
          client.release(broken)
        }
      }
    },
    close: () => pool.end(),
  }
}

/** The statements of this package are few and fixed; one that is put together anew each time is not kept. */
const STATEMENTS_MAX = 300
const statementNames = new Map<string, string>()

function statementName(text: string): string | undefined {
  const known = statementNames.get(text)
  if (known !== undefined || statementNames.size >= STATEMENTS_MAX) return known
  const name = `rekey-${statementNames.size}`
  statementNames.set(text, name)
  return name
}

/**
 * Lets the server keep each statement that comes with a list of values, be it empty: to read and plan one costs it more
 * than to run it. What runs often names its columns: a prepared `select *` fails once when a migration has added one.
 */
class PreparingClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config)
    const query = this.query.bind(this) as (...args: unknown[]) => unknown
    const prepared = (text: unknown, values: unknown, ...rest: unknown[]) => {
      const name = typeof text === 'string' && Array.isArray(values) ? statementName(text) : undefined
      return name === undefined ? query(text, values, ...rest) : query({ name, text }, values, ...rest)
    }
    this.query = prepared as typeof this.query
  }
}

function unavailable(error: unknown): RekeyError {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
  return new RekeyError('backend_unavailable', `cannot connect to PostgreSQL${code}`)
}

/** The database's clock, milliseconds since the epoch: the only clock that leases and windows are judged by. */
export async function clock(tx: Queryable): Promise<number> {
  const { rows } = await tx.query('select (extract(epoch from clock_timestamp()) * 1000)::bigint as now')
  return rows[0].now
}
