import { tryValue } from '@rekey/backend-postgres'
import { type Authority, type Call, Secret, type StoredValue } from '@rekey/contracts'
import type { StaticRoleSettings } from '@rekey/local'
import { call } from '@rekey/testing'
import { inject, onTestFinished } from 'vitest'
import { type VaultClient, withToken } from '../src/index.ts'
import { givenStaticPair, type StaticPairUnderTest } from './given-static-pair.ts'

/** A fresh pair for one test. */
export async function given(settings?: StaticRoleSettings): Promise<StaticPairUnderTest> {
  const made = await givenStaticPair(inject('stack'), settings)
  onTestFinished(() => made.close())
  return made
}

/** Minted, kept in a store, and known to the ledger. */
export async function mint(g: StaticPairUnderTest, generation: number, by = g.another): Promise<StoredValue> {
  const minted = await mintOnly(by, generation)
  g.keyIds[generation] = minted.keyId
  return { generation, ...minted }
}

export async function mintOnly(by: Authority, generation: number, bound: Call = call('r.stage')) {
  if (!by.mint || !by.list) throw new Error('it cannot mint')
  return by.mint(await by.list(bound), bound, generation)
}

export const verdictOf = async ({ value }: Pick<StoredValue, 'value'>) =>
  (await tryValue(value, AbortSignal.timeout(5_000))).verdict

export function asRoot(): VaultClient {
  const { vaultAddr, vaultRootToken } = inject('stack')
  return withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
}

export const readCreds = async ({ root, pair }: StaticPairUnderTest, role = pair.roles[0]) =>
  (await root('GET', `${pair.mount}/static-creds/${role}`)).body.data ?? {}
