import { readFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { z } from 'zod'

export const AdminConfig = z.strictObject({
  /** A host, or the folder of PgBouncer's Unix socket. */
  host: z.string().min(1),
  port: z.number().int().min(1).max(65_535).default(6432),
  /** One of PgBouncer's `admin_users`. */
  user: z.string().min(1),
  /** Holds that user's password. Not needed where PgBouncer asks for none. */
  passwordFile: z.string().min(1).optional(),
})
export type AdminConfig = z.infer<typeof AdminConfig>

/** A row that a SHOW command answers with. */
export type Row = Record<string, unknown>
export type Ask = (command: string) => Promise<Row[]>

/** The console could not be used, or refused the command. Nothing that it is told or says has a password in it. */
export class ConsoleError extends Error {}

const ANSWERS_MS = 3_000

/**
 * Works on PgBouncer's admin console. One connection for one piece of work: one that stayed open would keep a PgBouncer from
 * ending that waits for its clients first.
 */
export async function onConsole<T>(admin: AdminConfig, work: (ask: Ask) => Promise<T>): Promise<T> {
  // Loaded where it is used: most nodes have no business with a database.
  const { default: pg } = await import('pg')
  const socket = new Socket()
  const client = new pg.Client({
    host: admin.host,
    port: admin.port,
    user: admin.user,
    database: 'pgbouncer',
    // Asked for only where PgBouncer wants one. Never absent: pg would look for one in the environment.
    password: () => passwordOf(admin),
    ssl: false,
    stream: () => socket,
  })
  client.on('error', () => {})
  let isLate = false
  const deadline = setTimeout(() => {
    isLate = true
    socket.destroy()
  }, ANSWERS_MS)
  try {
    await client.connect()
    // A text alone goes by the simple protocol, the only one that the console speaks.
    return await work(async (command) => (await client.query(command)).rows)
  } catch (error) {
    if (isLate) throw new ConsoleError(`PgBouncer's admin console: no answer within ${ANSWERS_MS} ms`)
    if (error instanceof pg.DatabaseError)
      throw new ConsoleError(`PgBouncer's admin console: ${error.message.slice(0, 120)}`)
    if (error instanceof Error && 'code' in error)
      throw new ConsoleError(`PgBouncer's admin console: ${String(error.code)}`)
    throw error
  } finally {
    clearTimeout(deadline)
    socket.destroy()
  }
}

async function passwordOf({ passwordFile }: AdminConfig): Promise<string> {
  if (passwordFile === undefined)
    throw new ConsoleError(
      "PgBouncer's admin console asks for a password: name its file in admin.passwordFile",
    )
  const text = await readFile(passwordFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConsoleError(`the password of PgBouncer's admin console cannot be read: ${error.code}`)
  })
  if (text.trim() === '') throw new ConsoleError(`the file in admin.passwordFile is empty`)
  return text.trim()
}
