import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  type JsonGeneralNames,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

export const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
export const newKeys = () => webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])

/** A certificate authority in memory, which signs whatever it is asked to. All is PEM. */
export async function certificateAuthority() {
  const keys = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    keys,
    signingAlgorithm: P256,
    // All of them have one name: where two are trusted, what they issue is told apart by their keys.
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const issuer = await AuthorityKeyIdentifierExtension.create(keys.publicKey)
  return {
    ca: `${root.toString('pem')}\n`,
    async issue(
      names: JsonGeneralNames,
      {
        keys: given,
        extensions = [],
        ...validity
      }: {
        notBefore?: Date
        notAfter?: Date
        keys?: webcrypto.CryptoKeyPair
        extensions?: Extension[]
      } = {},
    ): Promise<{ key: string; cert: string }> {
      const own = given ?? (await newKeys())
      const certificate = await X509CertificateGenerator.create({
        issuer: root.subject,
        subject: '',
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: P256,
        extensions: [new SubjectAlternativeNameExtension(names), issuer, ...extensions],
        ...validity,
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
