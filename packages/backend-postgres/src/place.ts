import { RekeyError, type Secret } from '@rekey/contracts'
import { loginOf } from './login.ts'

/** A database, as a client reaches it. */
export type Place = {
  host: string
  port: number
  database: string
  sslmode: 'disable' | 'verify-full'
}

/** Where a connection needs no TLS. */
export const LOOPBACK = ['127.0.0.1', 'localhost', '::1']

/** Reads what configuration has checked: `postgres://HOST:PORT/DATABASE`, with no user and no password. */
export function placeOf(text: string): Place {
  return read(new URL(text))
}

/**
 * Who manages the pair, and where: from a DSN, or from a login as Rekey makes them, of which nothing may be repeated. `name` is the
 * connection's.
 */
export function managerOf(dsn: Secret, name: string): Place & { user: string; password: string } {
  const login = loginOf(dsn)
  if (login) {
    const { username: user, dbname: database, password, host, port, sslmode } = login
    return { user, password, host, port, database, sslmode }
  }
  const url = URL.parse(dsn.reveal())
  const faulty = new RekeyError(
    'invalid_configuration',
    `the file of connection ${name} must hold postgres://USER:PASSWORD@HOST:PORT/DATABASE, percent-encoded where needed, or a login as Rekey makes them`,
  )
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '' || url.pathname.length < 2)
    throw faulty
  try {
    const place = read(url)
    const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
    if (user === '') throw faulty
    return { ...place, user, password }
  } catch {
    throw faulty
  }
}

function read(url: URL): Place {
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
  const asked = url.searchParams.get('sslmode')
  const isPlain = asked === 'disable' || (asked === null && LOOPBACK.includes(host))
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
    sslmode: isPlain ? 'disable' : 'verify-full',
  }
}
