import type { PeerCertificate } from 'node:tls'

const TRUST_DOMAIN = 'rekey.local'
const NODE_NAME = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const SUBJECT_ALT_NAME = new RegExp(`^URI:spiffe://${TRUST_DOMAIN.replace('.', '\\.')}/node/(${NODE_NAME})$`)

export const spiffeIdOf = (node: string) => `spiffe://${TRUST_DOMAIN}/node/${node}`

/**
 * The node that a verified client certificate speaks for. Its SPIFFE ID must be the only name in it: with a second
 * one it would be open to us and the issuer which of them counts.
 */
export function nodeOf(certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined): string | undefined {
  return SUBJECT_ALT_NAME.exec(certificate?.subjectaltname ?? '')?.[1]
}
