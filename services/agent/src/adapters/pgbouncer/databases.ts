import type { Login } from '@rekey/backend-postgres'
import type { Row } from './console.ts'

/** The login that PgBouncer shall present, and of which generation it is. */
export type Wanted = { login: Login; generation: number }

/**
 * An alias that leads nowhere, beside the one that applications use. PgBouncer shows no passwords, and two generations may
 * differ in that alone: by this name it shows which of them it has read.
 */
export const markOf = (database: string, generation: number) => `${database}.g${generation}`

/** The file that pgbouncer.ini includes. With nothing to present there is no alias, and PgBouncer lets nobody in. */
export function contentOf(database: string, wanted: Wanted | undefined): string {
  const head = '; Written by the Rekey agent. What is changed here by hand is overwritten.\n[databases]\n'
  if (!wanted) return head
  const { host, port, dbname, username, password } = wanted.login
  const login = { host, port: String(port), dbname, user: username, password }
  const pairs = Object.entries(login).map(([key, value]) => `${key}=${quoted(value)}`)
  const mark = `${markOf(database, wanted.generation)} = host=/dev/null`
  return `${head}${database} = ${pairs.join(' ')}\n; Leads nowhere: SHOW DATABASES names the generation by it.\n${mark}\n`
}

/** As PgBouncer reads a value: single quotes are doubled, nothing else is special, and a line is a line. */
export function quoted(value: string): string {
  if (/[\n\0]/.test(value))
    throw new Error('PgBouncer cannot read a login with a line break or a zero byte in it')
  return `'${value.replaceAll("'", "''")}'`
}

/** What is wrong with what `SHOW DATABASES` answers, and what to do about it. Undefined: nothing. */
export function differenceOf(rows: Row[], database: string, wanted: Wanted | undefined): string | undefined {
  const named = (name: string) => rows.find((row) => row.name === name)
  const shown = named(database)
  if (!wanted) {
    if (!shown?.force_user) return undefined
    return `PgBouncer still has a login for ${database}: ${ELSEWHERE}, or ${UNREAD}`
  }
  if (!named(markOf(database, wanted.generation))) return `PgBouncer has not taken the file: ${UNREAD}`
  if (showsLogin(rows, database, wanted.login)) return undefined
  return `PgBouncer shows another login for ${database}: ${ELSEWHERE}`
}

/** Whether the alias has this login, as far as can be seen: PgBouncer shows no password. */
export function showsLogin(rows: Row[], database: string, login: Login): boolean {
  const shown = rows.find((row) => row.name === database)
  return (
    shown?.host === login.host &&
    Number(shown.port) === login.port &&
    shown.database === login.dbname &&
    shown.force_user === login.username
  )
}

const UNREAD =
  'pgbouncer.ini must %include it, its user must be able to read it, and its log says what else is wrong'
const ELSEWHERE = 'pgbouncer.ini must have no line of its own for this alias'

/** What in PgBouncer's settings would give the login away, as `SHOW CONFIG` answers. Undefined: nothing. */
export function exposureOf(settings: Row[], { login }: Wanted): string | undefined {
  if (Number(settingOf(settings, 'verbose')) > 0)
    return 'PgBouncer writes passwords into its log: set verbose = 0 in pgbouncer.ini, and start it without -v'
  if (login.sslmode === 'verify-full' && settingOf(settings, 'server_tls_sslmode') !== 'verify-full')
    return 'the login is for TLS with a checked certificate: set server_tls_sslmode = verify-full in pgbouncer.ini'
  return undefined
}

export const settingOf = (settings: Row[], key: string): string =>
  String(settings.find((row) => row.key === key)?.value ?? '')
