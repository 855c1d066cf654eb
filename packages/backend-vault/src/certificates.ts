import { RekeyError } from '@rekey/contracts'
import { errorOf, mentionsRoute, wordsOf } from './failure.ts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type PkiPlace = { mount: string; role: string }

/** What a role says of the certificates that it issues. Seconds. */
export type PkiRole = {
  keyType: string
  /** A certificate that Vault does not keep cannot be revoked by its serial number. */
  noStore: boolean
  /** Its certificates end with the token that asked for them. */
  generateLease: boolean
  /** So much earlier than its making a certificate says that it is valid. */
  backdated: number
}

export type CrlSettings = { disabled: boolean; autoRebuild: boolean }

export type IssuedCertificate = { pem: string; revoked: boolean }

/** The certificates of one PKI secrets engine by their serial numbers, which are no secret. */
export type VaultCertificates = {
  pkiRole(place: PkiPlace, bound?: Bound): Promise<PkiRole>
  crlSettings(mount: string, bound?: Bound): Promise<CrlSettings>
  /** Those that were issued and neither revoked nor tidied away; without those of authorities. */
  certificateList(mount: string, bound?: Bound): Promise<string[]>
  /** Undefined: there is none. */
  certificateLookup(mount: string, serial: string, bound?: Bound): Promise<IssuedCertificate | undefined>
  /** Succeeds where there is none, where it is revoked already, or has expired. */
  certificateRevoke(mount: string, serial: string, bound?: Bound): Promise<void>
  /** Makes the CRLs anew, now. */
  crlRotate(mount: string, bound?: Bound): Promise<void>
  /** The authorities of a mount, by their ids. */
  issuerList(mount: string, bound?: Bound): Promise<{ id: string; serial: string }[]>
  /** PEM; an issuer is named by its id, or `default`. */
  issuerCertificate(mount: string, issuer: string, bound?: Bound): Promise<string>
  /** PEM. */
  issuerCrl(mount: string, issuer: string, bound?: Bound): Promise<string>
}

export function vaultCertificates(session: VaultSession): VaultCertificates {
  async function read(path: string, what: string, bound?: Bound): Promise<Record<string, unknown>> {
    const { body } = await session.send({ method: 'GET', path, what }, bound)
    if (isRecord(body.data)) return body.data
    throw new RekeyError('bad_response', `${what}: Vault sent none`)
  }

  /** Vault says 404 for an empty list. */
  async function list(path: string, what: string, bound?: Bound): Promise<Record<string, unknown>> {
    const request = { method: 'GET', path, what, query: { list: 'true' }, answers: [404] } as const
    const reply = await session.send(request, bound)
    if (reply.status === 404 && mentionsRoute(reply)) throw errorOf(reply, what)
    return isRecord(reply.body.data) ? reply.body.data : {}
  }

  async function issuerList(mount: string, bound?: Bound) {
    const data = await list(vaultPath(mount, 'issuers'), `list the authorities of ${mount}`, bound)
    const about = isRecord(data.key_info) ? data.key_info : {}
    return textsIn(data.keys).map((id) => {
      const facts = about[id]
      return { id, serial: isRecord(facts) ? String(facts.serial_number ?? '') : '' }
    })
  }

  return {
    issuerList,

    async pkiRole({ mount, role }, bound) {
      const what = `read the role ${role} of ${mount}`
      const data = await read(vaultPath(mount, 'roles', role), what, bound)
      return {
        keyType: String(data.key_type),
        noStore: data.no_store === true,
        generateLease: data.generate_lease === true,
        backdated: typeof data.not_before_duration === 'number' ? data.not_before_duration : 30,
      }
    },

    async crlSettings(mount, bound) {
      const what = `read how ${mount} makes its CRL`
      const data = await read(vaultPath(mount, 'config', 'crl'), what, bound)
      return { disabled: data.disable === true, autoRebuild: data.auto_rebuild === true }
    },

    async certificateList(mount, bound) {
      const what = `list the certificates of ${mount}`
      const [issued, revoked, authorities] = await Promise.all([
        list(vaultPath(mount, 'certs'), what, bound),
        list(vaultPath(mount, 'certs', 'revoked'), what, bound),
        issuerList(mount, bound),
      ])
      const others = new Set([...textsIn(revoked.keys), ...authorities.map(({ serial }) => serial)])
      return textsIn(issued.keys).filter((serial) => !others.has(serial))
    },

    async certificateLookup(mount, serial, bound) {
      const what = `look up the certificate ${serial} of ${mount}`
      const path = vaultPath(mount, 'cert', serial)
      const reply = await session.send({ method: 'GET', path, what, answers: [404] }, bound)
      if (reply.status === 404 && mentionsRoute(reply)) throw errorOf(reply, what)
      if (reply.status === 404) return undefined
      const data = isRecord(reply.body.data) ? reply.body.data : {}
      if (typeof data.certificate !== 'string')
        throw new RekeyError('bad_response', `${what}: Vault sent none`)
      return { pem: data.certificate, revoked: Number(data.revocation_time ?? 0) > 0 }
    },

    async certificateRevoke(mount, serial, bound) {
      const what = `revoke the certificate ${serial} of ${mount}`
      const path = vaultPath(mount, 'revoke')
      const body = { serial_number: serial }
      const reply = await session.send({ method: 'POST', path, what, body, answers: [400] }, bound)
      if (reply.status === 400 && !/not found/.test(wordsOf(reply))) throw errorOf(reply, what)
    },

    async crlRotate(mount, bound) {
      await session.send(
        { method: 'GET', path: vaultPath(mount, 'crl', 'rotate'), what: `make the CRL of ${mount} anew` },
        bound,
      )
    },

    async issuerCertificate(mount, issuer, bound) {
      const what = `read the authority ${issuer} of ${mount}`
      const { certificate } = await read(vaultPath(mount, 'issuer', issuer, 'json'), what, bound)
      if (typeof certificate === 'string') return certificate
      throw new RekeyError('bad_response', `${what}: Vault sent none`)
    },

    async issuerCrl(mount, issuer, bound) {
      const what = `read the CRL of ${mount}`
      const { crl } = await read(vaultPath(mount, 'issuer', issuer, 'crl'), what, bound)
      if (typeof crl === 'string') return crl
      throw new RekeyError('bad_response', `${what}: Vault sent none`)
    },
  }
}

function textsIn(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : []
}
