import { RekeyError } from '@rekey/contracts'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { ControlProblem } from '../problem.ts'
import { type Caller, PRINTABLE } from './caller.ts'
import type { IssuerKeys } from './issuer-keys.ts'

export type Issuer = {
  issuer: string
  audience: string
  /** The claim that names a person for good. It becomes the Cedar id and the journal's `oidc/<name>`. */
  nameClaim: string
  groupsClaim: string
  skewMs: number
  keys: IssuerKeys
}

/** Asymmetric only: with a symmetric one whoever can check a token could make one. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA']

const GROUPS_MAX = 1_000

/** Who the bearer of a token of this issuer is. What is wrong with a token is said, and no part of it repeated. */
export async function bearerOfIssuer(token: string, from: Issuer): Promise<Caller> {
  const claims = await verified(token, from)
  const name = claims[from.nameClaim]
  if (typeof name !== 'string' || !PRINTABLE.test(name))
    throw refused(`it has no claim ${from.nameClaim} that can be recorded as a name`)
  return { type: 'User', id: name, actor: `oidc/${name}`, groups: groupsOf(claims, from.groupsClaim) }
}

async function verified(token: string, { issuer, audience, skewMs, keys }: Issuer): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys.find, {
      algorithms: ALGORITHMS,
      issuer,
      audience,
      clockTolerance: skewMs / 1_000,
      requiredClaims: ['exp'],
    })
    return payload
  } catch (error) {
    if (RekeyError.is(error)) throw error
    throw refused(reasonOf(error))
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed)
    return CLAIMS[error.claim] ?? `its claim ${error.claim} is missing or wrong`
  if (error instanceof errors.JOSEAlgNotAllowed) return `it is not signed with ${ALGORITHMS.join(', ')}`
  if (error instanceof errors.JWKSNoMatchingKey)
    return 'it is signed with a key that the issuer does not have'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong'
  return 'it cannot be read as a token of the issuer, and it is not the shared one'
}

const CLAIMS: Record<string, string> = {
  aud: 'it is for another audience',
  iss: 'it is of another issuer',
  nbf: 'it is not valid yet',
  exp: 'it does not say when it expires',
}

const refused = (why: string) => new ControlProblem('unauthenticated', `the token is refused: ${why}`)

/** A claim by its name, or by a path as in `realm_access.roles`. One group may be a plain text. */
function groupsOf(claims: JWTPayload, claim: string): string[] {
  const value = Object.hasOwn(claims, claim)
    ? claims[claim]
    : claim
        .split('.')
        .reduce<unknown>(
          (at, part) =>
            typeof at === 'object' && at !== null && Object.hasOwn(at, part)
              ? (at as Record<string, unknown>)[part]
              : undefined,
          claims,
        )
  const groups = typeof value === 'string' ? [value] : Array.isArray(value) ? value : []
  if (groups.length > GROUPS_MAX) throw refused(`it has more than ${GROUPS_MAX} groups`)
  return [...new Set(groups.filter((group) => typeof group === 'string'))]
}
