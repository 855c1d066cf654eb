import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type AcceptedValue, bundleParts, RekeyError, type Secret } from '@rekey/contracts'

export type SecretType = 'generic' | 'tls'

const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret'
const NONE = 'none'

/** What Envoy says that it has, once it has taken up the file; '' is what it says as long as it has taken up nothing. */
export function versionOf(latest: AcceptedValue | undefined, type: SecretType): string {
  if (latest) return latest.keyId
  return type === 'generic' ? NONE : ''
}

/**
 * The file that Envoy reads, in the form that its secret discovery service has. With nothing to present a generic secret is
 * empty, for which the credential injector answers 401 itself. There is no empty certificate: a file without resources
 * changes nothing in an Envoy that runs, and one that starts with it has no certificate.
 */
export function contentOf(latest: AcceptedValue | undefined, name: string, type: SecretType): string {
  const body = type === 'generic' ? genericSecret(latest?.value) : latest && tlsCertificate(latest.value)
  const resources = body ? [{ '@type': SECRET, name, ...body }] : []
  return `${JSON.stringify({ version_info: versionOf(latest, type) || NONE, resources }, null, 2)}\n`
}

const genericSecret = (value: Secret | undefined) => ({
  generic_secret: { secret: inline(value ? headerText(value) : '') },
})

function tlsCertificate(value: Secret) {
  const { certificate, chain, key } = pairOf(value)
  return {
    tls_certificate: {
      certificate_chain: inline([certificate, ...chain].join('')),
      private_key: inline(key.reveal()),
    },
  }
}

const inline = (text: string) => ({ inline_string: text })

/** Envoy takes any text, and then refuses each request whose header it does not fit into. */
function headerText(value: Secret): string {
  const text = value.reveal()
  if (/\p{Cc}/u.test(text))
    throw new RekeyError('value_refused', 'the value has control characters, which no header may have')
  return text
}

/** What Envoy would reject is not written: an Envoy that starts with it has no certificate at all. */
function pairOf(value: Secret) {
  const parts = bundleParts(value)
  if (!isPair(parts.certificate, parts.key))
    throw new RekeyError(
      'value_refused',
      'the value is no certificate with the private key that belongs to it',
    )
  return parts
}

function isPair(certificate: string, key: Secret): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key.reveal()))
  } catch {
    return false
  }
}

/** As Envoy writes the numbers of the certificates that it uses. */
export const serialOf = (value: Secret): string =>
  normalSerial(new X509Certificate(bundleParts(value).certificate).serialNumber)

export const normalSerial = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '')
