import { RekeyError, type Secret } from '@rekey/contracts'

/** Values whose proofs are public must not be guessed: 22 such characters can hold 128 bits. */
const STRONG = /^[A-Za-z0-9_-]{22,200}$/

export const isStrong = (password: Secret): boolean => STRONG.test(password.reveal())

export const weakPassword = (role: string): RekeyError =>
  new RekeyError(
    'invalid_configuration',
    `passwords of ${role} are too weak, or hold more than letters, digits, - and _: give its connection a password_policy such as infra/vault/rekey-database-password.hcl`,
  )
