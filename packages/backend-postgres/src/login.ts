import { loginIn, newPassword, Secret, strongLogin } from '@rekey/contracts'
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

export function newLogin(username: string, { host, port, database, sslmode }: Place): Secret {
  return secretOf({ username, password: newPassword(), host, port, dbname: database, sslmode })
}

export function secretOf({ username, password, host, port, dbname, sslmode }: Login): Secret {
  return Secret.of(JSON.stringify({ username, password, host, port, dbname, sslmode }))
}

export const loginOf = (value: Secret): Login | undefined => loginIn(Login, value)

export const strongLoginOf = (value: Secret): Login => strongLogin(loginOf(value))
