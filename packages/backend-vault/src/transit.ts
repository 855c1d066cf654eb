import { type Fingerprints, RekeyError } from '@rekey/contracts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type VaultTransit = {
  /**
   * The HMAC (SHA-256) of each input by a key of the transit engine, as `vault:v1:…`; by the key's first version, so that
   * turning the key does not change what was kept.
   */
  transitHmac(key: string, inputs: readonly string[], options?: Bound & { mount?: string }): Promise<string[]>
}

const MOUNT = 'transit'

/** Vault takes some thousand at once; more are asked in turn. */
const BATCH_MAX = 500

export function vaultTransit(session: VaultSession): VaultTransit {
  return {
    async transitHmac(key, inputs, options = {}) {
      const path = vaultPath(options.mount ?? MOUNT, 'hmac', key, 'sha2-256')
      const what = `make fingerprints with the key ${key}`
      const made: string[] = []
      for (let from = 0; from < inputs.length; from += BATCH_MAX) {
        const batch = inputs.slice(from, from + BATCH_MAX)
        const body = {
          key_version: 1,
          batch_input: batch.map((input) => ({ input: Buffer.from(input).toString('base64') })),
        }
        const reply = await session.send({ method: 'POST', path, what, body }, options)
        made.push(...hmacsFrom(reply.body.data, batch.length, what))
      }
      return made
    },
  }
}

function hmacsFrom(data: unknown, count: number, what: string): string[] {
  const results = isRecord(data) && Array.isArray(data.batch_results) ? data.batch_results : []
  const hmacs = results.map((result) => (isRecord(result) ? result.hmac : undefined))
  if (hmacs.length === count && hmacs.every((hmac) => typeof hmac === 'string')) return hmacs
  throw new RekeyError('bad_response', `${what}: Vault sent ${hmacs.length} of ${count}`)
}

/** The key that Rekey's fingerprints are made with, where its documentation names no other. */
export const FINGERPRINT_KEY = 'rekey-fingerprint'

export function vaultFingerprints(vault: VaultTransit, key = FINGERPRINT_KEY): Fingerprints {
  return { of: (digests, bound) => vault.transitHmac(key, digests, bound) }
}
