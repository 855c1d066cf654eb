import { randomBytes } from 'node:crypto'
import { RekeyError, Secret } from '@rekey/contracts'
import { z } from 'zod'
import { LOOPBACK, type Place } from './place.ts'

/**
 * The value of this kind: one line of JSON, so that user and password always move as one. Names as in AWS's own secrets
 * for databases; `sslmode` as libpq has it. What AWS's rotation functions write has `ssl` in place of that, or neither, and
 * may leave out the port and the database.
 */
const Login = z
  .object({
    username: z.string().min(1),
    password: z.string().min(1),
    host: z.string().min(1),
    port: z.coerce.number().int().min(1).max(65_535).default(5432),
    dbname: z.string().min(1).default('postgres'),
    sslmode: z.enum(['disable', 'verify-full']).optional(),
    ssl: z.union([z.boolean(), z.enum(['true', 'false'])]).optional(),
  })
  .transform(({ ssl, sslmode, ...login }) => ({ ...login, sslmode: sslmode ?? sslmodeOf(ssl, login.host) }))
export type Login = z.infer<typeof Login>

/** TLS with a checked certificate, but where it is declared plain, or on the same host. */
function sslmodeOf(ssl: boolean | 'true' | 'false' | undefined, host: string): 'disable' | 'verify-full' {
  const isPlain = ssl === undefined ? LOOPBACK.includes(host) : `${ssl}` === 'false'
  return isPlain ? 'disable' : 'verify-full'
}

/** 256 bits; the prefix lets secret scanners recognise a leaked one. */
const PREFIX = 'rk_'
const BYTES = 32

/** Letters, digits, - and _ need no SASLprep and no escaping; 22 of them can hold 128 bits. */
const STRONG = /^[A-Za-z0-9_-]{22,200}$/

export function newLogin(username: string, { host, port, database, sslmode }: Place): Secret {
  const password = PREFIX + randomBytes(BYTES).toString('base64url')
  return secretOf({ username, password, host, port, dbname: database, sslmode })
}

export function secretOf({ username, password, host, port, dbname, sslmode }: Login): Secret {
  return Secret.of(JSON.stringify({ username, password, host, port, dbname, sslmode }))
}

/** Undefined: it is no login. Nothing of the text, nor of what a parser said of it, goes on from here. */
export function loginOf(value: Secret): Login | undefined {
  try {
    return Login.safeParse(JSON.parse(value.reveal())).data
  } catch {
    return undefined
  }
}

/** A login that may be installed. Whoever put another one into a store must not make it a weak one. */
export function strongLoginOf(value: Secret): Login {
  const login = loginOf(value)
  if (!login) throw new RekeyError('value_refused', 'the value is not a login in JSON')
  if (!STRONG.test(login.password))
    throw new RekeyError(
      'value_refused',
      'the password must have 22 or more characters, of letters, digits, - and _ alone',
    )
  return login
}
