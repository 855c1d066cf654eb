import type { AcceptedValue, Secret } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { defineAdapter } from '../definition.ts'
import { latestOf } from '../latest.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { postgresTry } from '../postgres-try.ts'
import { betweenLogins } from './between-logins.ts'
import { AdminConfig, onConsole } from './console.ts'
import { contentOf, differenceOf, exposureOf, showsLogin, type Wanted } from './databases.ts'

export const PgbouncerConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('pgbouncer'),
  /** What pgbouncer.ini includes. Put it on tmpfs, in a folder whose group is PgBouncer's: it holds a password. */
  path: z.string().min(1),
  /** The alias that applications name as their database. */
  database: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,48}$/, 'use letters, digits, _ and - (at most 48)')
    .refine((name) => name !== 'pgbouncer', 'pgbouncer is the name of its own console'),
  admin: AdminConfig,
})
export type PgbouncerConfig = z.infer<typeof PgbouncerConfig>

/**
 * Gives PgBouncer the login that it presents to the server, while applications keep the one that they have at PgBouncer. A
 * server connection with the old login ends when its transaction does.
 */
export function pgbouncerAdapter({ path, database, admin }: PgbouncerConfig): NodeAdapter {
  const differenceAt = (wanted: Wanted | undefined) =>
    onConsole(admin, async (ask) => differenceOf(await ask('SHOW DATABASES'), database, wanted))
  const exposureNow = (wanted: Wanted | undefined) =>
    onConsole(admin, async (ask) => wanted && exposureOf(await ask('SHOW CONFIG'), wanted)).catch(
      () => undefined,
    )
  const isWritten = async (wanted: Wanted | undefined) =>
    (await readIfPresent(path)) === contentOf(database, wanted)
  /** What the server refused before PgBouncer was given it. */
  let declined: Secret | undefined

  async function holds(accept: AcceptedValue[]): Promise<boolean> {
    const wanted = await wantedOf(accept)
    return (await isWritten(wanted)) && (await differenceAt(wanted)) === undefined
  }

  return {
    kind: 'pgbouncer',
    disruption: 'A',
    canTry: true,
    holds,
    async apply(accept) {
      declined = undefined
      const wanted = await wantedOf(accept)
      const wasWritten = await isWritten(wanted)
      if (!wasWritten) {
        const value = latestOf(accept)?.value
        // It would take down every application at once. What works stays, and the try that follows says why.
        if (value && (await postgresTry(value)) === 'refused') {
          declined = value
          return
        }
        // One that is down is given it all the same: without the file it may not even start.
        const exposure = await exposureNow(wanted)
        if (exposure) throw new Error(exposure)
        await writeDurably(path, contentOf(database, wanted), 0o640)
      }
      await onConsole(admin, async (ask) => {
        // Again, and also where it has the login: it may have been started with other settings since.
        const exposure = wanted && exposureOf(await ask('SHOW CONFIG'), wanted)
        if (exposure) throw new Error(exposure)
        const before = await ask('SHOW DATABASES')
        if (wasWritten && differenceOf(before, database, wanted) === undefined) return
        // Says yes also where the file could not be read, so only what it shows then counts.
        await betweenLogins(ask, database, 'RELOAD')
        const difference = differenceOf(await ask('SHOW DATABASES'), database, wanted)
        if (difference) throw new Error(difference)
        // With another user RELOAD has let the old connections end. They must not be told twice: the new ones are logging in.
        if (!wanted || !showsLogin(before, database, wanted.login)) return
        await betweenLogins(ask, database, `RECONNECT "${database}"`)
      })
    },
    async tryValue(value) {
      return declined?.equals(value) ? 'refused' : postgresTry(value)
    },
    /** The authority counts the sessions at the server. */
    async usage() {
      return undefined
    },
    async close() {},
  }
}

async function wantedOf(accept: AcceptedValue[]): Promise<Wanted | undefined> {
  const latest = latestOf(accept)
  if (!latest) return undefined
  const { loginOf } = await import('@rekey/backend-postgres')
  const login = loginOf(latest.value)
  if (!login)
    throw new Error('the value is not a login in JSON, as the authority postgres-role-pair makes them')
  return { login, generation: latest.generation }
}

export const pgbouncerDefinition = defineAdapter({
  config: PgbouncerConfig,
  claims: ({ path, database, admin }) => [
    `path ${path}`,
    `alias ${database} of PgBouncer at ${admin.host}:${admin.port}`,
  ],
  resolved: ({ path, admin, ...rest }, at) => ({
    ...rest,
    path: at(path),
    admin: {
      ...admin,
      ...(admin.passwordFile !== undefined && { passwordFile: at(admin.passwordFile) }),
    },
  }),
  make: pgbouncerAdapter,
})
