// @peculiar/x509 injects its parts with decorators, which need this first.
import 'reflect-metadata'
import { SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509'

/** By which a certificate of Rekey's is known: both forms name the credential and the generation. */
type CertificateMark = { uri: string; subject: string }

const SUBJECT_SERIAL = '2.5.4.5'

export function markOf(credential: string, generation: number): CertificateMark {
  return { uri: `rekey://${credential}/${generation}`, subject: `rekey/${credential}/${generation}` }
}

export function bears(pem: string, { uri, subject }: CertificateMark): boolean {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch {
    // Somebody else's, of a kind that is not read here.
    return false
  }
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []
  return (
    names.some(({ type, value }) => type === 'url' && value === uri) ||
    certificate.subjectName.getField(SUBJECT_SERIAL).includes(subject)
  )
}
