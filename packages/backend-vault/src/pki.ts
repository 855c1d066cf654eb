import { RekeyError, Secret } from '@rekey/contracts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type SignedCertificate = {
  /** PEM. */
  certificate: string
  /** PEM, issuer first. */
  caChain: string[]
  serial: string
  /** Unix time in milliseconds. */
  expiresAt: number
}

export type IssueParams = {
  commonName?: string
  uriSans?: readonly string[]
  ipSans?: readonly string[]
  altNames?: readonly string[]
  /** The serial number in the subject, which is not the certificate's own. */
  subjectSerial?: string
  ttlSeconds?: number
}

export type PkiOptions = Bound & { mount?: string }

export type VaultPki = {
  /** Signs a CSR made elsewhere: the private key never leaves its host. */
  pkiSign(role: string, csr: string, options?: PkiOptions & IssueParams): Promise<SignedCertificate>
  /** Key and certificate made by Vault. */
  pkiIssue(
    role: string,
    params: IssueParams,
    options?: PkiOptions,
  ): Promise<SignedCertificate & { privateKey: Secret }>
  /** The authority's own certificates as one PEM text. Needs no right. */
  caChain(options?: PkiOptions): Promise<string>
}

const MOUNT = 'pki'

export function vaultPki(session: VaultSession): VaultPki {
  return {
    async pkiSign(role, csr, options = {}) {
      const what = `sign a certificate by the role ${role}`
      const path = vaultPath(options.mount ?? MOUNT, 'sign', role)
      const body = { csr, format: 'pem', ...paramsOf(options) }
      const reply = await session.send({ method: 'POST', path, what, body }, options)
      return certificateFrom(reply.body.data, what)
    },

    async pkiIssue(role, params, options = {}) {
      const what = `issue a certificate by the role ${role}`
      const path = vaultPath(options.mount ?? MOUNT, 'issue', role)
      const body = { format: 'pem', private_key_format: 'pkcs8', ...paramsOf(params) }
      const reply = await session.send({ method: 'POST', path, what, body }, options)
      const key = isRecord(reply.body.data) ? reply.body.data.private_key : undefined
      if (typeof key !== 'string') throw new RekeyError('bad_response', `${what}: Vault sent no key`)
      return { ...certificateFrom(reply.body.data, what), privateKey: Secret.of(key) }
    },

    async caChain(options = {}) {
      const mount = options.mount ?? MOUNT
      // The chain of a mount that holds a root only is empty in some releases; its CA is then the whole chain.
      for (const name of ['ca_chain', 'ca']) {
        const what = `read the certificate authority at ${mount}`
        const path = vaultPath(mount, 'cert', name)
        const reply = await session.send({ method: 'GET', path, what, answers: [404] }, options)
        const pem = isRecord(reply.body.data) ? reply.body.data.certificate : undefined
        if (typeof pem === 'string' && pem.includes('BEGIN CERTIFICATE')) return `${pem.trim()}\n`
      }
      throw new RekeyError('not_found', `the mount ${mount} has no certificate authority`)
    },
  }
}

function paramsOf(params: IssueParams): Record<string, string> {
  return {
    ...(params.commonName !== undefined && { common_name: params.commonName }),
    ...(params.uriSans && { uri_sans: params.uriSans.join(',') }),
    ...(params.ipSans && { ip_sans: params.ipSans.join(',') }),
    ...(params.subjectSerial !== undefined && { serial_number: params.subjectSerial }),
    ...(params.altNames && { alt_names: params.altNames.join(',') }),
    ...(params.ttlSeconds !== undefined && { ttl: `${params.ttlSeconds}s` }),
  }
}

function certificateFrom(data: unknown, what: string): SignedCertificate {
  if (!isRecord(data) || typeof data.certificate !== 'string') {
    throw new RekeyError('bad_response', `${what}: Vault sent no certificate`)
  }
  const chain = Array.isArray(data.ca_chain) ? data.ca_chain : [data.issuing_ca]
  return {
    certificate: data.certificate,
    caChain: chain.filter((pem) => typeof pem === 'string'),
    serial: String(data.serial_number ?? ''),
    expiresAt: Number(data.expiration ?? 0) * 1000,
  }
}
