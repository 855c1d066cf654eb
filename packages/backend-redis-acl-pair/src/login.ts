import { createHash } from 'node:crypto'
import { loginIn, newPassword, RekeyError, Secret, strongLogin } from '@rekey/contracts'
import { z } from 'zod'

/** A server, as a client reaches it. */
export type Place = { host: string; port: number; tls: boolean }

/** The value of this kind: one line of JSON, so that user and password always move as one. */
const Login = z.object({
  username: z.string().min(1),
  password: z.string().min(1),
  host: z.string().min(1),
  port: z.number().int().min(1).max(65_535),
  tls: z.boolean(),
})
export type Login = z.infer<typeof Login>

export function newLogin(username: string, place: Place): Secret {
  return secretOf({ username, password: newPassword(), ...place })
}

export function secretOf({ username, password, host, port, tls }: Login): Secret {
  return Secret.of(JSON.stringify({ username, password, host, port, tls }))
}

export const loginOf = (value: Secret): Login | undefined => loginIn(Login, value)

/** Its digest is what the server gets, and 256 bits are what makes that safe. */
export const strongLoginOf = (value: Secret): Login => strongLogin(loginOf(value))

export const digestOf = (password: string): string => createHash('sha256').update(password).digest('hex')

/** Reads what configuration has checked. */
export function placeOf(text: string): Place {
  const url = new URL(text)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, port: url.port === '' ? 6379 : Number(url.port), tls: url.protocol === 'rediss:' }
}

/**
 * Who manages the pair, and where: a login in JSON, as Rekey makes them, or a URL. Nothing of the text may be repeated. `name` is the
 * connection's.
 */
export function managerOf(text: Secret, name: string): Login {
  const login = loginOf(text)
  if (login) return login
  const url = URL.parse(text.reveal())
  const faulty = new RekeyError(
    'invalid_configuration',
    `the file of connection ${name} must hold a login in JSON with username, password, host, port and tls, or redis://USER:PASSWORD@HOST:PORT, percent-encoded where needed`,
  )
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || url.username === '') throw faulty
  try {
    const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
    return { ...placeOf(url.href), username, password }
  } catch {
    throw faulty
  }
}
