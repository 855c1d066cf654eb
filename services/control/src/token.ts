import { createHash, timingSafeEqual } from 'node:crypto'
import type { Secret } from '@rekey/contracts'
import type { FastifyRequest } from 'fastify'
import { ControlProblem } from './problem.ts'

/** Compares digests, so that neither the length nor the first difference of a guess shows in the time it takes. */
export function bearerOnly(token: Secret): (request: FastifyRequest) => Promise<void> {
  const expected = digest(token.reveal())
  return async (request) => {
    const [scheme, given] = (request.headers.authorization ?? '').split(' ', 2)
    if (scheme?.toLowerCase() !== 'bearer' || !given)
      throw new ControlProblem('unauthenticated', 'the header "authorization: Bearer …" is missing')
    if (!timingSafeEqual(digest(given), expected))
      throw new ControlProblem('unauthenticated', 'the token is not the one that control was started with')
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
