// @peculiar/x509 injects its parts with decorators, which need this first.
import 'reflect-metadata'
import type { TLSSocket } from 'node:tls'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509'
import type { NodeIdentity } from '@rekey/ledger'
import type { SvidTemplate } from './svid-template.ts'

/** What a handshake says of a client certificate. */
export type ShownCertificate = {
  der: Uint8Array
  /** Undefined: it leads to an authority of the bundle, and has not ended. */
  untrusted: string | undefined
}

/** The certificate that the peer has just proved to own, or undefined where it showed none. */
export function shownCertificate(socket: TLSSocket): ShownCertificate | undefined {
  const der = socket.getPeerX509Certificate()?.raw
  if (!der) return undefined
  // A resumed session repeats what its first handshake found: since then the certificate or its authority may have ended.
  if (socket.isSessionReused()) return { der, untrusted: 'SESSION_REUSED' }
  const untrusted = socket.authorized ? undefined : String(socket.authorizationError ?? 'NOT_AUTHORIZED')
  return { der, untrusted }
}

/** Who a certificate of SPIRE speaks for; `untrusted`: its authority is not ours, or its time is over. */
export type SvidReading = { identity: NodeIdentity } | { fault: string; untrusted: boolean }

/**
 * Reads an X.509-SVID by SPIFFE's rules for leaf certificates (X509-SVID, 5.2): no CA, no key that may sign certificates, one
 * URI among its names. The rest of the names means nothing.
 */
export function readSvid(shown: ShownCertificate, template: SvidTemplate): SvidReading {
  const refuse = (fault: string, untrusted = false): SvidReading => ({ fault, untrusted })
  if (shown.untrusted !== undefined)
    return refuse(`the certificate is not trusted (${shown.untrusted})`, true)
  let certificate: X509Certificate
  let names: { type: string; value: string }[]
  try {
    certificate = new X509Certificate(shown.der)
    const { extensions } = certificate
    if (new Set(extensions.map((e) => e.type)).size !== extensions.length)
      return refuse('the certificate has an extension twice')
    names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.toJSON() ?? []
  } catch {
    return refuse('the certificate cannot be read')
  }
  if (certificate.getExtension(BasicConstraintsExtension)?.ca) return refuse('the certificate is a CA')
  const usages = certificate.getExtension(KeyUsagesExtension)?.usages ?? 0
  if ((usages & (KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)) !== 0)
    return refuse('the key of the certificate may sign certificates')
  if ((usages & KeyUsageFlags.digitalSignature) === 0)
    return refuse('the key usage of the certificate has no digitalSignature')
  const [uri, another] = names.filter(({ type }) => type === 'url')
  if (!uri) return refuse('the certificate has no SPIFFE ID')
  if (another) return refuse('the certificate has more than one URI')
  const read = template.read(uri.value)
  if (!read) return refuse('the SPIFFE ID of the certificate does not match FLEET_SVID_ID')
  return { identity: { ...read, svid: uri.value } }
}
