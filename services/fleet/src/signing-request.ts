// @peculiar/x509 injects its parts with decorators, which need this first.
import 'reflect-metadata'
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { spiffeIdOf } from './peer.ts'

const SUBJECT_ALT_NAME = '2.5.29.17'

/**
 * Why a signing request may not be signed for this node, or undefined. It must hold a P-256 key, a good signature by
 * it, no subject, and the node's SPIFFE ID as its one and only name.
 */
export async function requestFault(csr: string, node: string): Promise<string | undefined> {
  let request: Pkcs10CertificateRequest
  try {
    request = new Pkcs10CertificateRequest(csr)
  } catch {
    return 'the signing request is not PKCS #10'
  }
  const algorithm = request.publicKey.algorithm as { name: string; namedCurve?: string }
  if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') return 'the key is not P-256'
  if (request.subject !== '') return 'the signing request has a subject'
  if (request.extensions.some((e) => e.type !== SUBJECT_ALT_NAME) || request.extensions.length !== 1) {
    return 'the signing request asks for more than a name'
  }
  const names = request.extensions[0]
  const list = names instanceof SubjectAlternativeNameExtension ? names.names.toJSON() : []
  const [name] = list
  if (list.length !== 1 || name?.type !== 'url' || name.value !== spiffeIdOf(node)) {
    return "the signing request's name is not the node's"
  }
  try {
    return (await request.verify()) ? undefined : 'the signing request is not signed by its key'
  } catch {
    return 'the signing request is not signed by its key'
  }
}
