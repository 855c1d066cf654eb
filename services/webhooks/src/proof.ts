import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '@rekey/contracts'

const SIGNATURE = /^sha256=([0-9a-f]{64})$/i
const BEARER = /^bearer ([\x21-\x7e]{1,1024})$/i

/** Whether it may be a signature at all: what has none is refused before its body is read. */
export function looksSigned(header: string | undefined): boolean {
  return header !== undefined && SIGNATURE.test(header)
}

/** The HMAC-SHA256 of the body as it came, by any of the secrets. Each is tried, so that time tells of none. */
export function isSigned(body: Buffer, header: string | undefined, secrets: readonly Secret[]): boolean {
  const given = SIGNATURE.exec(header ?? '')?.[1]
  if (given === undefined) return false
  const signature = Buffer.from(given, 'hex')
  let signed = false
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret.reveal()).update(body).digest()
    if (timingSafeEqual(signature, expected)) signed = true
  }
  return signed
}

/** Digests are compared, so that neither the length nor the first difference of a guess shows in the time it takes. */
export function isBearer(header: string | undefined, secrets: readonly Secret[]): boolean {
  const given = BEARER.exec(header ?? '')?.[1]
  if (given === undefined) return false
  const digest = (text: string) => createHash('sha256').update(text).digest()
  let known = false
  for (const secret of secrets) if (timingSafeEqual(digest(given), digest(secret.reveal()))) known = true
  return known
}
