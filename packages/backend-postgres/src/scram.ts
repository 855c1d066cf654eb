import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * What PostgreSQL keeps of a password (RFC 5802 and 7677). It is made here, so that the password itself never reaches the
 * server's log of statements. For passwords that need no SASLprep: printable ASCII.
 */

/** PostgreSQL's own default. The passwords are random, so that no number of rounds makes them harder to guess. */
const ITERATIONS = 4096
const SALT_BYTES = 16

const VERIFIER = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/

export function verifierOf(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations: number = ITERATIONS,
): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

/** Whether a verifier was made of this password. */
export function verifies(verifier: string, password: string): boolean {
  const [, iterations = '', salt = ''] = VERIFIER.exec(verifier) ?? []
  if (iterations === '') return false
  const made = Buffer.from(verifierOf(password, Buffer.from(salt, 'base64'), Number(iterations)))
  const kept = Buffer.from(verifier)
  return made.length === kept.length && timingSafeEqual(made, kept)
}
