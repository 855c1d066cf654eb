import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

export type DatabaseTally = {
  ok: number
  failed: number
  /** Operations by the user that they were done as. */
  byUser: Record<string, number>
  /** The first few failures, in words. */
  failures: string[]
}

export type DatabaseClients = { tally: DatabaseTally; stop(): Promise<DatabaseTally> }

export type DatabaseClientsOptions = {
  /** Where nodes have the login, one line of JSON. */
  files: string[]
  table: string
  /** For each file: clients that keep a connection, and clients that open one for each operation. */
  keeping: number
  opening: number
  thinkMs: number
}

/** Applications that do queries with the login that their node's file holds, until stopped. Every answer is counted. */
export function startDatabaseClients(options: DatabaseClientsOptions): DatabaseClients {
  const tally: DatabaseTally = { ok: 0, failed: 0, byUser: {}, failures: [] }
  const stopping = new AbortController()
  const running = options.files.flatMap((file) => [
    ...Array.from({ length: options.keeping }, () => run(file, true, options, tally, stopping.signal)),
    ...Array.from({ length: options.opening }, () => run(file, false, options, tally, stopping.signal)),
  ])
  return {
    tally,
    async stop() {
      stopping.abort()
      await Promise.all(running)
      return tally
    },
  }
}

async function connect(login: string): Promise<pg.Client> {
  const { username, password, host, port, dbname } = JSON.parse(login)
  const client = new pg.Client({ user: username, password, host, port, database: dbname })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Looks at its file before each operation, and connects anew when it has changed. */
async function run(
  file: string,
  keeps: boolean,
  { table, thinkMs }: DatabaseClientsOptions,
  tally: DatabaseTally,
  stopping: AbortSignal,
): Promise<void> {
  let held: { login: string; client: pg.Client } | undefined
  while (!stopping.aborted) {
    const login = (await readFile(file, 'utf8')).trim()
    const user = String(JSON.parse(login).username)
    try {
      if (held?.login !== login) {
        const client = await connect(login)
        await held?.client.end()
        held = { login, client }
      }
      await held.client.query('begin')
      await held.client.query(`insert into ${table} (by) values (session_user)`)
      await held.client.query(`delete from ${table} where ctid in (select ctid from ${table} limit 1)`)
      await held.client.query('commit')
      tally.ok++
      tally.byUser[user] = (tally.byUser[user] ?? 0) + 1
    } catch (error) {
      tally.failed++
      const { code = '', message } = error as { code?: string; message: string }
      if (tally.failures.length < 10) tally.failures.push(`${user}: ${code} ${message}`)
    }
    if (!keeps) {
      await held?.client.end()
      held = undefined
    }
    await delay(thinkMs)
  }
  await held?.client.end()
}
