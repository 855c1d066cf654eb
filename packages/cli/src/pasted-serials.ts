import { X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
/** As openssl, browsers and Vault write them: with colons or without, in whatever case. */
const SERIAL = /\b[0-9a-f]{2}(?::?[0-9a-f]{2}){7,19}\b/gi

/** The serial numbers of certificates in a text, and of those that are in it themselves: Rekey knows a certificate by that. */
export function serialsIn(text: string): string[] {
  const written = [...text.matchAll(SERIAL)].map(([serial]) => serial)
  const own = [...text.matchAll(CERTIFICATE)].flatMap(([pem]) => {
    try {
      return [new X509Certificate(pem).serialNumber]
    } catch {
      return []
    }
  })
  return [...written, ...own].map((serial) => {
    const digits = serial.replaceAll(':', '').toLowerCase()
    return (digits.match(/../g) ?? []).join(':')
  })
}
