import type { VaultClient } from '@rekey/backend-vault/reading'
import { RekeyError, Secret } from '@rekey/contracts'
import type { Unwrap } from './enrolment.ts'

export function vaultUnwrap(vault: Pick<VaultClient, 'unwrapSecretId'>): Unwrap {
  return async (wrappingToken) => {
    try {
      const signal = AbortSignal.timeout(10_000)
      return (await vault.unwrapSecretId(Secret.of(wrappingToken), { signal })).reveal()
    } catch (error) {
      // Vault answers a used token with a refusal; whatever may pass by itself is worth another try.
      return RekeyError.is(error) && !error.retryable ? 'used' : 'unreachable'
    }
  }
}
