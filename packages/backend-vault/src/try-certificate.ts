import { createPrivateKey, X509Certificate } from 'node:crypto'
import { bundleParts, RekeyError, type Secret } from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import { OUT_OF_DATE, outsideLife, type Seen, standing, unknown } from './crl.ts'
import type { Bound } from './session.ts'

type Asked = Pick<VaultClient, 'issuerList' | 'issuerCertificate' | 'issuerCrl' | 'crlRotate'>

/** What the CRL of its issuer says of a certificate, which must be signed by that and fit its key. Throws where Vault cannot be asked. */
export async function standingOf(vault: Asked, mount: string, value: Secret, bound: Bound): Promise<Seen> {
  const { certificate: pem, key } = bundleParts(value)
  const certificate = readCertificate(pem)
  if (!certificate) return unknown('no certificate')
  if (!fits(certificate, key)) return unknown('key of another certificate')
  const issuer = await issuerOf(vault, mount, certificate, bound)
  if (!issuer) return unknown('not issued by this mount')
  const outside = outsideLife(certificate, Date.now())
  if (outside) return outside
  const judge = async () =>
    standing(certificate, issuer.certificate, await vault.issuerCrl(mount, issuer.id, bound), Date.now())
  const found = await judge()
  if (found.seen !== OUT_OF_DATE) return found
  // Without `auto_rebuild` Vault makes one at a revocation, and hands it out when its time is long over.
  await vault.crlRotate(mount, bound)
  return judge()
}

/** Whatever it sees is a verdict: it throws nothing. */
export async function tryCertificate(
  vault: Asked,
  mount: string,
  value: Secret,
  bound: Bound,
): Promise<Seen> {
  try {
    return await standingOf(vault, mount, value, bound)
  } catch (error) {
    return unknown(RekeyError.is(error) ? error.code : 'failed')
  }
}

/**
 * By its signature, not by its name. Mounts have one authority as a rule, and a few after some years; one that was renewed with
 * its key has two certificates.
 */
async function issuerOf(vault: Asked, mount: string, certificate: X509Certificate, bound: Bound) {
  const isFrom = (issuer: X509Certificate) =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  const found: { id: string; certificate: X509Certificate }[] = []
  for (const { id } of await vault.issuerList(mount, bound)) {
    const issuer = new X509Certificate(await vault.issuerCertificate(mount, id, bound))
    if (isFrom(issuer)) found.push({ id, certificate: issuer })
  }
  return found.find((issuer) => !outsideLife(issuer.certificate, Date.now())) ?? found[0]
}

function fits(certificate: X509Certificate, key: Secret): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key.reveal()))
  } catch {
    return false
  }
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}
