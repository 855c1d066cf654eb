import {
  type Authority,
  type Call,
  proofPublicKey,
  type ReadValue,
  RekeyError,
  type Store,
} from '@rekey/contracts'
import type { Effect, EffectResult, ProbeSeen } from '@rekey/core'
import type { Leased } from '@rekey/ledger'

/** What an act works with: the stores in their stated order, once for each identity. */
export type Hands = {
  stores: { name: string; store: Store }[]
  /** The same stores as the prober's own identity sees them. */
  proberStores: { name: string; store: Store }[]
  authority: Authority
}

/** What of a lease an act goes by. */
type Asked = Pick<Leased, 'effect' | 'rotation' | 'shown' | 'keyIds'>

/**
 * Does what an effect asks for, once or again: every act settles what an earlier attempt left by reading the stores.
 * What each kind must stand is the table in test/act-contract.ts.
 */
export async function act(leased: Asked, hands: Hands, call: Call): Promise<EffectResult> {
  const { effect } = leased
  switch (effect.kind) {
    case 'stage':
      return stage(leased, effect, hands, call)
    case 'promote': {
      const expected = leased.shown[effect.store]
      const { store, generation, over } = effect
      const storeVersion = await storeOf(hands, store).promote(generation, expected, call, over)
      return { kind: 'promote', storeVersion }
    }
    case 'restore': {
      const base = await find(hands.stores, effect.base, call)
      if (!base) throw new RekeyError('value_lost', `no store holds generation ${effect.base} any more`)
      return { kind: 'restore', storeVersion: await storeOf(hands, effect.store).restore(base, call) }
    }
    case 'withdraw': {
      const storeVersion = await storeOf(hands, effect.store).withdraw(effect.generation, call)
      return { kind: 'withdraw', storeVersion: storeVersion ?? null }
    }
    case 'install':
      return install(effect.generation, hands, call)
    case 'suspend':
    case 'reinstate':
    case 'revoke': {
      const { kind, generation } = effect
      await able(hands.authority, kind)(generation, call)
      return { kind }
    }
    case 'destroy':
      await storeOf(hands, effect.store).destroy(effect.generation, call)
      return { kind: 'destroy' }
    case 'probe':
      return { kind: 'probe', results: await probe(effect, hands, call) }
    case 'deliver':
    case 'timer':
      throw new Error(`rotator-0001: ${effect.kind} is not a rotator's effect`)
    default:
      return effect satisfies never
  }
}

/**
 * Durable before visible: the first store makes the value last, the others get it read back from there. Whoever
 * staged first made the generation; a second maker's value is thrown away.
 */
async function stage(
  leased: Asked,
  effect: Extract<Effect, { kind: 'stage' }>,
  { stores, authority }: Hands,
  call: Call,
): Promise<EffectResult> {
  const { generation } = effect
  const { credential } = leased.rotation
  const isFirst = stores[0]?.name === effect.store
  const kept = isFirst ? undefined : await find(stores, generation, call)
  if (!isFirst && !kept)
    throw new RekeyError('value_lost', `no store holds generation ${generation} any more`)
  const keyId = leased.keyIds[generation] ?? `${credential}.g${generation}`
  const staged = await storeOf({ stores }, effect.store).stage(
    kept ?? { generation, keyId, value: authority.make() },
    call,
  )
  if (kept && !staged.value.equals(kept.value))
    throw new RekeyError('foreign_writer', `${effect.store} holds another value for generation ${generation}`)
  const proofKey = proofPublicKey(staged.value, credential, generation)
  return { kind: 'stage', storeVersion: staged.storeVersion, keyId: staged.keyId, proofKey }
}

/** Never from memory: what the authority is made to accept is what the stores hold. */
async function install(generation: number, { stores, authority }: Hands, call: Call): Promise<EffectResult> {
  const kept = await find(stores, generation, call)
  if (!kept) throw new RekeyError('value_lost', `no store holds generation ${generation} any more`)
  await able(authority, 'install')(kept, call)
  return { kind: 'install' }
}

/** A verb that not every authority has. */
function able<V extends 'install' | 'suspend' | 'reinstate' | 'revoke'>(
  authority: Authority,
  verb: V,
): NonNullable<Authority[V]> {
  const found = authority[verb]
  if (!found) throw new RekeyError('invalid_configuration', `authority ${authority.kind} cannot ${verb}`)
  return found.bind(authority) as NonNullable<Authority[V]>
}

/** Tries the value, then the control, at every endpoint. A value that no store holds can show nothing. */
async function probe(
  effect: Extract<Effect, { kind: 'probe' }>,
  { proberStores, authority }: Hands,
  call: Call,
): Promise<ProbeSeen[]> {
  const tried = await find(proberStores, effect.generation, call)
  const control = effect.control === null ? undefined : await find(proberStores, effect.control, call)
  if (!tried)
    return [{ endpoint: 'every endpoint', verdict: 'unknown', seen: 'value not in any store', control: null }]
  const answers = await authority.probe(tried.value, call)
  const controls = control ? await authority.probe(control.value, call) : []
  return answers.map(({ endpoint, verdict, seen }) => ({
    endpoint,
    verdict,
    seen,
    control:
      effect.control === null ? null : (controls.find((c) => c.endpoint === endpoint)?.verdict ?? 'unknown'),
  }))
}

async function find(stores: Hands['stores'], generation: number, call: Call): Promise<ReadValue | undefined> {
  for (const { store } of stores) {
    const value = await store.read(generation, call)
    if (value) return value
  }
  return undefined
}

function storeOf({ stores }: Pick<Hands, 'stores'>, name: string): Store {
  const found = stores.find((s) => s.name === name)
  if (!found) throw new RekeyError('invalid_configuration', `the credential has no store named ${name}`)
  return found.store
}
