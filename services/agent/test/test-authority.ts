import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000

/** A certificate authority in memory that signs what it is asked for. */
export async function testAuthority() {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test CA',
    keys,
    signingAlgorithm: P256,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  const certify = async (
    publicKey: Parameters<typeof X509CertificateGenerator.create>[0]['publicKey'],
    names: SubjectAlternativeNameExtension,
    notBefore = new Date(Date.now() - 60_000),
    notAfter = new Date(Date.now() + DAY_MS),
  ) => {
    const certificate = await X509CertificateGenerator.create({
      issuer: root.subject,
      subject: '',
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: P256,
      notBefore,
      notAfter,
      extensions: [names],
    })
    return { certificate: `${certificate.toString('pem')}\n`, expiresAt: certificate.notAfter.toISOString() }
  }
  type Validity = { notBefore?: Date; notAfter?: Date }
  const issue = async (type: 'dns' | 'url', value: string, validity: Validity = {}) => {
    const own = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])
    const names = new SubjectAlternativeNameExtension([{ type, value }])
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey))
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const { certificate } = await certify(own.publicKey, names, validity.notBefore, validity.notAfter)
    return { key: key.export({ format: 'pem', type: 'pkcs8' }).toString(), cert: certificate }
  }
  return {
    ca: `${root.toString('pem')}\n`,
    server: () => issue('dns', 'localhost'),
    client: (spiffeId: string, validity?: Validity) => issue('url', spiffeId, validity),
    /** Signs a node's request with the names in it. */
    async sign(csr: string, validity: Validity = {}) {
      const request = new Pkcs10CertificateRequest(csr)
      const names = request.extensions[0]
      if (!(names instanceof SubjectAlternativeNameExtension)) throw new Error('the request has no names')
      return certify(request.publicKey, names, validity.notBefore, validity.notAfter)
    },
  }
}
