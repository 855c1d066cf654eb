import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { RekeyError } from './errors.ts'
import type { Secret } from './secret.ts'

/** Letters, digits, - and _ need no SASLprep and no escaping; 22 of them can hold 128 bits. */
const STRONG = /^[A-Za-z0-9_-]{22,200}$/

/** 256 bits; the prefix lets secret scanners recognise a leaked one. */
export const newPassword = (): string => `rk_${randomBytes(32).toString('base64url')}`

/** A value that is a login in JSON. Undefined: it is none. Nothing of the text, nor of what a parser said of it, goes on from here. */
export function loginIn<T>(schema: z.ZodType<T>, value: Secret): T | undefined {
  try {
    return schema.safeParse(JSON.parse(value.reveal())).data
  } catch {
    return undefined
  }
}

/** A login that may be installed. Whoever put another one into a store must not make it a weak one. */
export function strongLogin<T extends { password: string }>(login: T | undefined): T {
  if (!login) throw new RekeyError('value_refused', 'the value is not a login in JSON')
  if (!STRONG.test(login.password))
    throw new RekeyError(
      'value_refused',
      'the password must have 22 or more characters, of letters, digits, - and _ alone',
    )
  return login
}
