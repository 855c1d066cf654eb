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
import { promoteLive, stageLive } from './adopt.ts'

/** What an act works with: the stores in their stated order, once for each identity. */
export type Hands = {
  stores: { name: string; store: Store }[]
  /** The same stores as the prober's own identity sees them. */
  proberStores: { name: string; store: Store }[]
  authority: Authority
  /** Keeps what an effect found before its first act, and gives it back in each attempt: for values that a provider makes. */
  note?: (found: () => Promise<string[]>) => Promise<readonly string[]>
  /** Keeps which version of each store an adoption replaces. */
  replaces?: (storeVersions: Record<string, string>) => Promise<void>
}

/** What of a lease an act goes by. */
type Asked = Pick<Leased, 'effect' | 'rotation' | 'shown' | 'keyIds' | 'adopts'>

/**
 * Does what an effect asks for, once or again: every act settles what an earlier attempt left by reading the stores.
 * What each kind must stand is the table in test/act-contract.ts.
 */
export async function act(leased: Asked, hands: Hands, call: Call): Promise<EffectResult> {
  const { effect } = leased
  switch (effect.kind) {
    case 'stage':
      return effect.generation === leased.adopts
        ? stageLive(leased, effect, hands, call)
        : stage(leased, effect, hands, call)
    case 'promote': {
      const expected = leased.shown[effect.store]
      const { store, generation, over } = effect
      if (generation === leased.adopts) return promoteLive(leased, effect, storeOf(hands, store), call)
      const storeVersion = await storeOf(hands, store).promote(generation, expected, call, over)
      await hands.authority.show?.(generation, call)
      return { kind: 'promote', storeVersion }
    }
    case 'restore': {
      const base = await find(hands.stores, effect.base, call)
      if (!base) throw new RekeyError('value_lost', `no store holds generation ${effect.base} any more`)
      const storeVersion = await storeOf(hands, effect.store).restore(base, call)
      await hands.authority.show?.(effect.base, call)
      return { kind: 'restore', storeVersion }
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
      // A routine rotation has waited for them; an emergency has not.
      if (kind === 'revoke' && effect.urgent) await hands.authority.endSessions?.(generation, call)
      return { kind }
    }
    case 'destroy':
      await endMinted(leased, effect, hands, call)
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
  hands: Hands,
  call: Call,
): Promise<EffectResult> {
  const { stores, authority } = hands
  const { generation } = effect
  const { credential } = leased.rotation
  const isFirst = stores[0]?.name === effect.store
  const kept = isFirst ? undefined : await find(stores, generation, call)
  if (!isFirst && !kept)
    throw new RekeyError('value_lost', `no store holds generation ${generation} any more`)
  const keyId = leased.keyIds[generation] ?? `${credential}.g${generation}`
  const store = storeOf({ stores }, effect.store)
  const staged =
    authority.valueFrom === 'provider' && !kept
      ? await stageMinted(generation, store, hands, call)
      : await store.stage(
          kept ?? { generation, keyId, value: await able(authority, 'make')(generation, call) },
          call,
        )
  if (kept && !staged.value.equals(kept.value))
    throw new RekeyError('foreign_writer', `${effect.store} holds another value for generation ${generation}`)
  const proofKey = proofPublicKey(staged.value, credential, generation)
  return { kind: 'stage', storeVersion: staged.storeVersion, keyId: staged.keyId, proofKey }
}

/**
 * The provider shows a value once. If it does not come into the store it is lost, and what is left of it at the provider
 * is known by what was there before: see `mint`.
 */
async function stageMinted(generation: number, store: Store, { authority, note }: Hands, call: Call) {
  if (!note) throw new Error('rotator-0002: nothing can be noted before a value is minted')
  const there = await store.read(generation, call)
  if (there) return keep(await store.stage(there, call), authority, call)
  const known = await note(() => able(authority, 'list')(call))
  const minted = await able(authority, 'mint')(known, call, generation)
  const staged = await store.stage({ generation, ...minted }, call).catch(async (error: unknown) => {
    // The generation was given up meanwhile, and nothing will come back for this one.
    if (RekeyError.is(error) && error.code === 'value_lost')
      await able(authority, 'discard')(minted.keyId, call)
    throw error
  })
  // Another worker was first: what is in the store counts.
  if (!staged.value.equals(minted.value)) await able(authority, 'discard')(minted.keyId, call)
  return keep(staged, authority, call)
}

/** From now on a store has it. In every attempt, for the one before may have come no further than the store. */
async function keep<Staged extends { keyId: string }>(
  staged: Staged,
  authority: Authority,
  call: Call,
): Promise<Staged> {
  await authority.keep?.(staged.keyId, call)
  return staged
}

/**
 * What a provider made is accepted from then on, also where the generation was given up before anybody asked for that, or
 * before it was told under which name it was made. Once for all stores, as long as the first one has it.
 */
async function endMinted(
  { keyIds }: Asked,
  { store, generation }: Extract<Effect, { kind: 'destroy' }>,
  { stores, authority }: Hands,
  call: Call,
): Promise<void> {
  const [first] = stores
  if (authority.valueFrom !== 'provider' || first?.name !== store) return
  // The store will refuse to destroy what readers get; nor is that ended here.
  if ((await first.store.readCurrent(call))?.generation === generation) return
  await able(authority, 'revoke')(generation, call)
  const kept = await find(stores, generation, call)
  if (kept && kept.keyId !== keyIds[generation]) await able(authority, 'discard')(kept.keyId, call)
}

/** Never from memory: what the authority is made to accept is what the stores hold. */
async function install(generation: number, { stores, authority }: Hands, call: Call): Promise<EffectResult> {
  const kept = await find(stores, generation, call)
  if (!kept) throw new RekeyError('value_lost', `no store holds generation ${generation} any more`)
  await able(authority, 'install')(kept, call)
  return { kind: 'install' }
}

type Verb = 'make' | 'list' | 'mint' | 'discard' | 'install' | 'suspend' | 'reinstate' | 'revoke'

/** A verb that not every authority has. */
function able<V extends Verb>(authority: Authority, verb: V): NonNullable<Authority[V]> {
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
