import { type Probe, RekeyError, type Secret } from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import type { Bound } from './session.ts'

/** Tries a secret id by a real login with it. Whatever it sees is a verdict: it throws nothing. */
export async function trySecretId(
  vault: Pick<VaultClient, 'tryLogin'>,
  { mount, roleId }: { mount: string; roleId: () => Promise<string> },
  secretId: Secret,
  bound: Bound,
): Promise<{ verdict: Probe; seen: string }> {
  try {
    const verdict = await vault.tryLogin({ mount, roleId: await roleId(), secretId }, bound)
    return { verdict, seen: verdict === 'refused' ? 'invalid role or secret ID' : 'logged in' }
  } catch (error) {
    return { verdict: 'unknown', seen: RekeyError.is(error) ? error.code : 'failed' }
  }
}
