import { type VaultClient, vaultReader } from '@rekey/backend-vault/reading'
import { type DesiredState, RekeyError, type Secret } from '@rekey/contracts'

export type Fetched =
  | { kind: 'value'; value: Secret }
  /** The store answered, and does not have it. */
  | { kind: 'missing'; detail: string }
  /** The store did not answer, or not to us. */
  | { kind: 'unreachable'; detail: string }

/** Where the agent reads values. Never throws: whatever happens is an answer that the fleet can be told. */
export interface ValueSource {
  fetch(store: DesiredState['store'], generation: number, keyId: string): Promise<Fetched>
}

/** Reads from Vault with the node's own identity, so that its policy and audit log apply to each read. */
export function vaultValues(vault: VaultClient, timeoutMs = 5_000): ValueSource {
  return {
    async fetch(store, generation, keyId) {
      try {
        const found = await vaultReader(vault, store).read(generation, {
          signal: AbortSignal.timeout(timeoutMs),
        })
        if (!found) return { kind: 'missing', detail: 'the store has no value for this generation' }
        // A value carries its generation, so that a copy under a wrong path cannot pass for another one.
        if (found.generation !== generation || found.keyId !== keyId) {
          return { kind: 'missing', detail: 'the stored value is of another generation' }
        }
        return { kind: 'value', value: found.value }
      } catch (error) {
        if (!RekeyError.is(error)) return { kind: 'unreachable', detail: 'the store could not be read' }
        const kind = error.code === 'foreign_writer' || error.code === 'not_found' ? 'missing' : 'unreachable'
        return { kind, detail: `${error.code}: ${error.message}` }
      }
    },
  }
}
