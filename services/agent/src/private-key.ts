import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto'

export const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** A new P-256 key as PKCS #8 PEM. */
export async function newPrivateKey(): Promise<string> {
  const pair = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const der = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey)
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString()
}

export function publicKeyOf(privateKeyPem: string): string {
  return createPublicKey(createPrivateKey(privateKeyPem)).export({ format: 'pem', type: 'spki' }).toString()
}
