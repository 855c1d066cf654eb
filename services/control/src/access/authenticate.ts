import type { FastifyRequest } from 'fastify'
import { ControlProblem } from '../problem.ts'
import { bearerOfIssuer, type Issuer } from './bearer-of-issuer.ts'
import { type BreakGlassKeys, breakGlassHolder, isBreakGlass } from './break-glass.ts'
import { type Caller, operator } from './caller.ts'
import { certificateHolder } from './certificate.ts'

/** The ways in. At least one is there. */
export type Ways = {
  isShared: ((token: string) => boolean) | undefined
  issuer: Issuer | undefined
  certificates: boolean
  breakGlass: BreakGlassKeys | undefined
}

/** Who asks? A token comes before a certificate: who sends one means it, and a wrong one is refused. */
export async function authenticate(request: FastifyRequest, ways: Ways): Promise<Caller> {
  const header = request.headers.authorization
  if (header === undefined) {
    const holder = ways.certificates ? certificateHolder(request) : undefined
    if (holder) return holder
    throw new ControlProblem(
      'unauthenticated',
      ways.certificates
        ? 'there is neither a client certificate that counts nor the header "authorization: Bearer …"'
        : 'the header "authorization: Bearer …" is missing',
    )
  }
  const [scheme, token] = header.split(' ', 2)
  if (scheme?.toLowerCase() !== 'bearer' || !token)
    throw new ControlProblem('unauthenticated', 'the header "authorization: Bearer …" is missing')
  if (ways.breakGlass && isBreakGlass(token)) return breakGlassHolder(token, ways.breakGlass)
  if (ways.isShared?.(token)) return operator(request.headers['x-rekey-actor'])
  if (ways.issuer) return bearerOfIssuer(token, ways.issuer)
  throw new ControlProblem('unauthenticated', 'the token is not the one that control was started with')
}
