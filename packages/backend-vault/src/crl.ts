// @peculiar/x509 injects its parts with decorators, which need this first.
import 'reflect-metadata'
import type { X509Certificate } from 'node:crypto'
import { PublicKey, X509Crl } from '@peculiar/x509'
import type { Probe } from '@rekey/contracts'

export const OUT_OF_DATE = 'crl out of date'

/** Whoever signed a CRL may have a clock that is ahead. */
const SKEW_MS = 60_000

export type Seen = { verdict: Probe; seen: string }

/**
 * What a careful verifier makes of a certificate of this issuer, with the CRL at hand. Refused is only what has expired, or
 * stands on a CRL that the issuer signed and that is in force; of what cannot be checked nothing is known.
 */
export async function standing(
  certificate: X509Certificate,
  issuer: X509Certificate,
  crlPem: string,
  now: number,
): Promise<Seen> {
  const outside = outsideLife(certificate, now)
  if (outside) return outside
  if (outsideLife(issuer, now)) return unknown('issuer out of its time')
  let crl: X509Crl
  try {
    crl = new X509Crl(crlPem)
  } catch {
    return unknown('no crl')
  }
  const publicKey = new PublicKey(issuer.publicKey.export({ format: 'der', type: 'spki' }))
  const isSigned = await crl.verify({ publicKey }).catch(() => false)
  if (!isSigned) return unknown('crl not signed by the issuer')
  // RFC 5280, 5.2: it is about a part of the certificates, or of the time, and says nothing of the others.
  if (crl.extensions.some(({ critical }) => critical)) return unknown('crl of a part')
  const isInForce = crl.thisUpdate.getTime() <= now + SKEW_MS && now < (crl.nextUpdate?.getTime() ?? 0)
  if (!isInForce) return unknown(OUT_OF_DATE)
  return crl.findRevoked(certificate.serialNumber)
    ? { verdict: 'refused', seen: 'revoked' }
    : { verdict: 'accepted', seen: 'valid and not on the crl' }
}

/** Before its time nothing is known, after it no verifier takes it, whatever a CRL says. */
export function outsideLife(certificate: X509Certificate, now: number): Seen | undefined {
  if (now >= Date.parse(certificate.validTo)) return { verdict: 'refused', seen: 'expired' }
  if (now < Date.parse(certificate.validFrom)) return unknown('not valid yet')
  return undefined
}

export const unknown = (seen: string): Seen => ({ verdict: 'unknown', seen })
