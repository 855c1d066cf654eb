// @peculiar/x509 injects its parts with decorators, which need this first.
import 'reflect-metadata'
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto'
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { P256 } from './private-key.ts'

/** A PKCS #10 request with no subject and one name: the node's SPIFFE ID. */
export async function signingRequest(privateKeyPem: string, spiffeId: string): Promise<string> {
  const secret = createPrivateKey(privateKeyPem)
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', secret.export({ format: 'der', type: 'pkcs8' }), P256, true, [
      'sign',
    ]),
    webcrypto.subtle.importKey(
      'spki',
      createPublicKey(secret).export({ format: 'der', type: 'spki' }),
      P256,
      true,
      ['verify'],
    ),
  ])
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: { privateKey, publicKey },
    signingAlgorithm: P256,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId }])],
  })
  return request.toString('pem')
}
