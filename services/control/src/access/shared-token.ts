import { createHash, timingSafeEqual } from 'node:crypto'
import { RekeyError, type Secret } from '@rekey/contracts'

const LENGTH_MIN = 16

/** Compares digests, so that neither the length nor the first difference of a guess shows in the time it takes. */
export function sharedToken(token: Secret): (given: string) => boolean {
  if (token.reveal().length < LENGTH_MIN)
    throw new RekeyError(
      'invalid_configuration',
      `the token in CONTROL_TOKEN_FILE is shorter than ${LENGTH_MIN} characters`,
    )
  const expected = digest(token.reveal())
  return (given) => timingSafeEqual(digest(given), expected)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
