import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  type JsonGeneralNames,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

export type Issued = { key: string; cert: string }

export const newKeys = () => webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])

/** A certificate authority in memory, with as much freedom as an attacker would like to have. */
export async function testAuthority() {
  const keys = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    keys,
    signingAlgorithm: P256,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  return {
    ca: `${root.toString('pem')}\n`,
    async issue(names: JsonGeneralNames): Promise<Issued> {
      const own = await newKeys()
      const certificate = await X509CertificateGenerator.create({
        issuer: root.subject,
        subject: '',
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: P256,
        extensions: [new SubjectAlternativeNameExtension(names)],
      })
      const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey))
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
      return {
        key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
        cert: `${certificate.toString('pem')}\n`,
      }
    },
  }
}

export type TestAuthority = Awaited<ReturnType<typeof testAuthority>>

export const nodeNames = (node: string): JsonGeneralNames => [
  { type: 'url', value: `spiffe://rekey.local/node/${node}` },
]

/** A signing request with these names, of a key that is thrown away. */
export async function requestFor(
  names: JsonGeneralNames,
  subject = '',
  keys?: CryptoKeyPair,
): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: keys ?? (await newKeys()),
    signingAlgorithm: P256,
    extensions: [new SubjectAlternativeNameExtension(names)],
  })
  return request.toString('pem')
}

type CryptoKeyPair = Awaited<ReturnType<typeof newKeys>>
