import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair, type JWK, SignJWT } from 'jose'
import { Complaint } from './complaint.ts'

/** What control takes as a break-glass token (services/control/src/access/break-glass.ts). */
const TYPE = 'rekey-break-glass+jwt'
const ISSUER = 'rekey-break-glass'
const AUDIENCE = 'rekey-control'

/** Ed25519. `publicSet` is a JWK set, RFC 7517. */
export async function newKey(): Promise<{ privatePem: string; publicSet: { keys: JWK[] }; kid: string }> {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  const set = { keys: [{ ...jwk, kid, alg: 'EdDSA', use: 'sig' }] }
  return { privatePem: await exportPKCS8(privateKey), publicSet: set, kid }
}

/** Signs a token for one person, with the private key in a file. */
export async function issueToken(
  keyFile: string,
  person: string,
  forMs: number,
): Promise<{ token: string; id: string; expiresAt: string }> {
  const key = readKey(keyFile)
  const kid = await calculateJwkThumbprint(await exportJWK(createPublicKey(key)))
  const id = randomUUID()
  const expires = Math.floor((Date.now() + forMs) / 1_000)
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'EdDSA', typ: TYPE, kid })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(person)
    .setJti(id)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(key)
  return { token, id, expiresAt: new Date(expires * 1_000).toISOString() }
}

function readKey(file: string) {
  const remedy = 'Name the file that `rekey break-glass key --private` wrote.'
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Complaint('bad_usage', `cannot read the key ${file}: ${why}`, remedy)
  }
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below, without what the library says of its content.
  }
  throw new Complaint('bad_usage', `${file} holds no Ed25519 private key`, remedy)
}
