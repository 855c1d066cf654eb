import type { Effect, EffectResult } from '@rekey/core'

type Store = { shows: number | null; version: number; holds: Set<number>; destroyed: Set<number> }

/** Slots of the authority: a third generation finds none. */
const SLOTS = 2

/**
 * The stores and the authority of a replay. Each act is conditional, as the model's are, so that a late one does no harm:
 * stores compare the version that the worker read, the authority what its slot holds.
 */
export class Outside {
  readonly stores = new Map<string, Store>()
  readonly #installed = new Set([1])
  readonly #suspended = new Set<number>()
  readonly #probe: (generation: number) => 'accepted' | 'refused'

  constructor(stores: readonly string[], probe: (generation: number) => 'accepted' | 'refused') {
    this.#probe = probe
    for (const name of stores)
      this.stores.set(name, { shows: 1, version: 0, holds: new Set([1]), destroyed: new Set() })
  }

  store(name: string): Store {
    const store = this.stores.get(name)
    if (!store) throw new Error(`there is no store ${name}`)
    return store
  }

  isAccepted(generation: number): boolean {
    return this.#installed.has(generation) && !this.#suspended.has(generation)
  }

  /** What a worker reads before it acts. */
  version(effect: Effect): number {
    return 'store' in effect ? this.store(effect.store).version : 0
  }

  /** The act, by a worker that read `version`. Undefined: its aim is not reached. */
  act(effect: Effect, version: number): EffectResult | undefined {
    switch (effect.kind) {
      case 'stage': {
        const { store, generation } = effect
        const { holds, destroyed } = this.store(store)
        if (destroyed.has(generation)) return undefined
        holds.add(generation)
        return {
          kind: 'stage',
          storeVersion: `${store} g${generation}`,
          keyId: `g${generation}`,
          proofKey: null,
        }
      }
      case 'promote':
        return this.#show(effect.store, effect.generation, version, 'promote')
      case 'restore':
        return this.#show(effect.store, effect.base, version, 'restore')
      case 'withdraw': {
        const store = this.store(effect.store)
        if (store.shows !== effect.generation) return { kind: 'withdraw', storeVersion: null }
        if (store.version !== version) return undefined
        store.shows = null
        return { kind: 'withdraw', storeVersion: `version ${++store.version}` }
      }
      case 'destroy': {
        const { holds, destroyed } = this.store(effect.store)
        holds.delete(effect.generation)
        destroyed.add(effect.generation)
        return { kind: 'destroy' }
      }
      case 'install':
        if (!this.#installed.has(effect.generation) && this.#installed.size >= SLOTS) return undefined
        this.#installed.add(effect.generation)
        return this.isAccepted(effect.generation) ? { kind: 'install' } : undefined
      case 'suspend':
        if (this.#installed.has(effect.generation)) this.#suspended.add(effect.generation)
        return { kind: 'suspend' }
      case 'reinstate':
        this.#suspended.delete(effect.generation)
        return this.isAccepted(effect.generation) ? { kind: 'reinstate' } : undefined
      case 'revoke':
        this.#installed.delete(effect.generation)
        this.#suspended.delete(effect.generation)
        return { kind: 'revoke' }
      case 'probe':
        return {
          kind: 'probe',
          results: [
            {
              endpoint: 'all',
              verdict: this.#probe(effect.generation),
              seen: '',
              control: effect.control === null ? null : this.#probe(effect.control),
            },
          ],
        }
      case 'deliver':
      case 'timer':
        throw new Error(`a ${effect.kind} is no act outside`)
      default:
        return effect satisfies never
    }
  }

  #show(name: string, generation: number, version: number, kind: 'promote' | 'restore') {
    const store = this.store(name)
    // A promotion that is done is not done again; a way back is a new version, also where it is shown already.
    if (kind === 'restore' || store.shows !== generation) {
      if (store.version !== version) return undefined
      store.shows = generation
      store.version++
    }
    return { kind, storeVersion: `version ${store.version}` }
  }
}
