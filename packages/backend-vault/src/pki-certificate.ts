import { X509Certificate } from 'node:crypto'
import {
  type Authority,
  bundleText,
  type Call,
  type Minted,
  RekeyError,
  spanMs,
  type VaultPkiCertificateSpec,
} from '@rekey/contracts'
import { bears, markOf } from './certificate-mark.ts'
import type { PkiRole } from './certificates.ts'
import type { VaultClient } from './client.ts'
import type { SignedCertificate } from './pki.ts'
import { standingOf, tryCertificate } from './try-certificate.ts'
import { unfitPkiRole } from './unfit-pki-role.ts'

/** Vault knows no limit. Rekey keeps to what every outbound credential has: the one in use, and the next. */
const SLOTS = 2

/** What is there is noted in the ledger before a certificate is made, and looked at after one was lost. */
const LISTED_MAX = 5_000

/** So many are looked at side by side. */
const AT_ONCE = 16

/** A certificate has no parts of a second. */
const ROUNDED_MS = 1_000

export type PkiCertificateOptions = {
  /** The credential's name: with the generation it marks what is Rekey's. */
  credential: string
  /** The serial numbers of the certificates that were kept, by generation. */
  keyIds: Readonly<Record<number, string>>
  /** For how long after its making a worker that was slow may keep a certificate. Longer than any attempt may act. */
  keptWithinMs?: number
}

/**
 * The certificates of one role. Vault makes the key with the certificate, and shows it once. What Rekey had issued bears a
 * mark, and nothing else is ever revoked.
 */
export function pkiCertificate(
  vault: VaultClient,
  spec: Omit<VaultPkiCertificateSpec, 'kind' | 'connection' | 'refusalLagMs'>,
  { credential, keyIds, keptWithinMs = 30_000 }: PkiCertificateOptions,
): Authority {
  const { mount, role, mark } = spec
  const ttlMs = spanMs(spec.ttl)

  /** Those of `serials` that bear the mark of a generation and could be used. */
  async function marked(serials: readonly string[], generation: number, call: Call) {
    const ours = markOf(credential, generation)
    const found = await inTurns(serials, async (serial) => {
      const issued = await vault.certificateLookup(mount, serial, call)
      if (!issued || issued.revoked || !bears(issued.pem, ours)) return undefined
      const certificate = new X509Certificate(issued.pem)
      return hasEnded(certificate) ? undefined : { serial, certificate }
    })
    return found.filter((one) => one !== undefined)
  }

  /** With `auto_rebuild` Vault would put it on the CRL when that is made anew, which can be days later. */
  async function revoke(serials: readonly string[], call: Call): Promise<void> {
    for (const serial of serials) await vault.certificateRevoke(mount, serial, call)
    if (serials.length === 0) return
    const { autoRebuild } = await vault.crlSettings(mount, call)
    if (autoRebuild) await vault.crlRotate(mount, call)
  }

  /** Nobody has the key of what was issued for this generation after `known` was noted, and is in no store. */
  async function clearOrphans(unknown: string[], generation: number, { backdated }: PkiRole, call: Call) {
    for (const { serial, certificate } of await marked(unknown, generation, call)) {
      const madeAt = Date.parse(certificate.validFrom) + backdated * 1000
      if (Date.now() < madeAt + ROUNDED_MS + keptWithinMs)
        throw new RekeyError(
          'backend_unavailable',
          `the certificate ${serial} of ${mount} was issued a moment ago, and a worker that was slow may keep it yet`,
        )
      await revoke([serial], call)
    }
  }

  /** An emergency gets its value whatever was changed since. */
  async function refuseUnfit(asked: PkiRole, call: Call): Promise<void> {
    if (call.urgent) return
    const why = unfitPkiRole(asked, await vault.crlSettings(mount, call), spec)
    if (why !== undefined) throw new RekeyError('invalid_configuration', why)
  }

  async function refuseMore(listed: readonly string[], generation: number, call: Call): Promise<void> {
    const others = Object.entries(keyIds).filter(([of, id]) => of !== `${generation}` && listed.includes(id))
    const live = await inTurns(others, async ([of, serial]) => {
      const issued = await vault.certificateLookup(mount, serial, call)
      const counts = issued && !issued.revoked && !hasEnded(new X509Certificate(issued.pem))
      return counts ? of : undefined
    })
    const which = live.filter((of) => of !== undefined)
    if (which.length < SLOTS) return
    throw new RekeyError(
      'not_allowed_now',
      `generations ${which.join(' and ')} of ${credential} are valid at ${mount}, and one of them must end first`,
    )
  }

  /** What lives for less than was asked would end before it is replaced. */
  async function refuseShort(issued: SignedCertificate, { backdated }: PkiRole, call: Call): Promise<void> {
    const { validFrom } = new X509Certificate(issued.certificate)
    const livesMs = issued.expiresAt - Date.parse(validFrom) - backdated * 1000
    if (call.urgent || livesMs >= ttlMs - ROUNDED_MS) return
    await revoke([issued.serial], call)
    throw new RekeyError(
      'invalid_configuration',
      `${mount} gave a certificate of ${role} ${Math.round(livesMs / 1000)} s in place of ${spec.ttl}: raise max_ttl of the role, or of the mount (vault secrets tune -max-lease-ttl), or lower ttl and maxAge`,
    )
  }

  const list = async (call: Call) => {
    const listed = await vault.certificateList(mount, call)
    if (listed.length <= LISTED_MAX || call.urgent) return listed
    throw new RekeyError(
      'invalid_configuration',
      `${mount} lists ${listed.length} certificates, and ${LISTED_MAX} are the most: give Rekey's a mount of their own, or tidy up (vault write ${mount}/tidy tidy_cert_store=true)`,
    )
  }

  return {
    kind: 'vault-pki-certificate',
    direction: 'outbound',
    slots: SLOTS,
    valueFrom: 'provider',
    list,

    async mint(known, call, generation): Promise<Minted> {
      const asked = await vault.pkiRole(spec, call)
      await refuseUnfit(asked, call)
      const noted = new Set(known)
      const listed = await list(call)
      const unknown = listed.filter((serial) => !noted.has(serial))
      await clearOrphans(unknown, generation, asked, call)
      await refuseMore(listed, generation, call)
      const ours = markOf(credential, generation)
      const issued = await vault.pkiIssue(
        role,
        {
          ...(spec.commonName !== undefined && { commonName: spec.commonName }),
          altNames: spec.dnsNames,
          ipSans: spec.ipAddresses,
          uriSans: mark === 'uri' ? [...spec.uris, ours.uri] : spec.uris,
          ...(mark === 'subject' && { subjectSerial: ours.subject }),
          ttlSeconds: ttlMs / 1000,
        },
        { mount, signal: call.signal },
      )
      await refuseShort(issued, asked, call)
      const { certificate, caChain, privateKey, serial } = issued
      return {
        keyId: serial,
        value: bundleText({ certificate, chain: caChain.filter(isNoRoot), key: privateKey }),
      }
    },

    discard: (keyId, call) => revoke([keyId], call),

    async install({ generation, keyId, value }, call) {
      const { verdict, seen } = await standingOf(vault, mount, value, call)
      if (verdict === 'accepted') return
      const issued = await vault.certificateLookup(mount, keyId, call)
      if (!issued || issued.revoked || verdict === 'refused')
        throw new RekeyError(
          'not_allowed_now',
          `the certificate ${keyId} of generation ${generation} is gone`,
        )
      throw new RekeyError('backend_unavailable', `the certificate ${keyId} is not good yet: ${seen}`)
    },

    async revoke(generation, call) {
      const id = keyIds[generation]
      if (id !== undefined) return revoke([id], call)
      // Given up before it was known under which number it was issued.
      const found = await marked(await vault.certificateList(mount, call), generation, call)
      await revoke(
        found.map(({ serial }) => serial),
        call,
      )
    },

    /** Nobody tells Vault who presents a certificate: nothing is seen of it, however long it is used. */
    ...(spec.longestUse !== undefined && { lastUsed: async () => null }),

    probe: async (value, call) => [{ endpoint: 'crl', ...(await tryCertificate(vault, mount, value, call)) }],
  }
}

function hasEnded({ validTo }: X509Certificate): boolean {
  return Date.now() >= Date.parse(validTo)
}

/** Who verifies has the root already, or must not take it from here. */
function isNoRoot(pem: string): boolean {
  const certificate = new X509Certificate(pem)
  return !certificate.checkIssued(certificate)
}

/** Of many, some at a time, in their order. */
async function inTurns<T, R>(all: readonly T[], one: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = []
  for (let at = 0; at < all.length; at += AT_ONCE)
    done.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(one))))
  return done
}
