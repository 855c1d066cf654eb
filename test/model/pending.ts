import type { Effect } from '@rekey/core'
import { Stopped } from './stopped.ts'
import type { Step, Target } from './trail.ts'

/** Generations count from 1 in the core: the base is 1. */
export const real = (generation: number) => generation + 1

export const STORES: Record<Exclude<Target, 'authority'>, string> = { first: 'vault', second: 'aws' }

type Asked = Pick<Extract<Step, { type: 'EffectDone' }>, 'kind' | 'target' | 'generation'>

/** The effects that the core asked for and that are not done: what the ledger keeps as rows. */
export class Pending {
  readonly #all = new Map<string, Effect>()

  ask(effects: readonly Effect[]): void {
    for (const effect of effects)
      if (!this.#all.has(effect.key) || effect.kind === 'timer') this.#all.set(effect.key, effect)
  }

  /** As they are now, whatever is asked for or done meanwhile. */
  *[Symbol.iterator](): Generator<Effect> {
    yield* [...this.#all.values()]
  }

  cancel(tracks: readonly number[]): void {
    for (const effect of this.#all.values())
      if (effect.of !== null && tracks.includes(effect.of)) this.#all.delete(effect.key)
  }

  isPlanned(effect: Effect): boolean {
    return this.#all.get(effect.key) === effect
  }

  /** False: it was taken out before. */
  take({ key }: Effect): boolean {
    return this.#all.delete(key)
  }

  find(asked: Asked): Effect {
    const found = this.search(asked)
    if (found) return found
    const { kind, target, generation } = asked
    throw new Stopped(`no ${kind} of generation ${real(generation)} is asked for (${target})`)
  }

  search({ kind, target, generation }: Asked): Effect | undefined {
    const store = target === 'authority' || kind === 'probe' ? undefined : STORES[target]
    return [...this.#all.values()].find(
      (e) =>
        e.kind === kind &&
        (store === undefined || ('store' in e && e.store === store)) &&
        (e.kind === 'restore' ? e.base : 'generation' in e ? e.generation : 0) === real(generation),
    )
  }
}
