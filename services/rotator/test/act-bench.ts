import { type Call, proofPublicKey, RekeyError, type Secret } from '@rekey/contracts'
import type { Effect, EffectResult } from '@rekey/core'
import type { StoreFaults } from '@rekey/testing'
import { act, type Hands } from '../src/act.ts'

/** Two stores and an authority, with two workers at them. */
export type World = {
  /** The worker whose ways are broken. */
  mine: Hands
  /** Another worker, whose ways are sound. */
  other: Hands
  ways: Way[]
  /** What else there is to compare, beyond what the stores show and the authority accepts. */
  inside?: () => unknown
  close?(): Promise<void>
}

/** `count`: requests since a fault was armed. */
export type Way = {
  faults: Pick<StoreFaults, 'loseReply' | 'loseRequest' | 'meanwhile' | 'heal'>
  readonly count: number
}

export type Leased = Parameters<typeof act>[0]

/** Those that the table is about. */
const GENERATIONS = [1, 2, 3]

/** Runs effects as workers do, and keeps what the ledger would keep of their outcomes. */
export class Bench {
  readonly world: World
  #shown: Record<string, string> = {}

  constructor(world: World) {
    this.world = world
  }

  /** As the ledger hands it out now. */
  lease(effect: Effect): Leased {
    return { effect, rotation: { id: 'key-g2', credential: 'key' }, shown: { ...this.#shown }, keyIds: {} }
  }

  /** One attempt, whose outcome is recorded. */
  async attempt(leased: Leased, hands: Hands): Promise<EffectResult> {
    const { effect } = leased
    const result = await this.late(leased, hands)
    if (
      result.kind !== 'stage' &&
      'storeVersion' in result &&
      'store' in effect &&
      result.storeVersion !== null
    )
      this.#shown[effect.store] = result.storeVersion
    return result
  }

  /** One attempt of a plan that was given up: its outcome decides nothing. */
  async late(leased: Leased, hands: Hands): Promise<EffectResult> {
    return act(leased, hands, { key: leased.effect.key, signal: AbortSignal.timeout(10_000) })
  }

  async run(effects: Effect[], hands = this.world.other): Promise<void> {
    for (const effect of effects) await this.attempt(this.lease(effect), hands)
  }

  /** Attempts until one comes through, as the ledger repeats them. */
  async settle(leased: Leased, hands: Hands): Promise<EffectResult> {
    for (let turn = 1; ; turn++) {
      try {
        return await this.attempt(leased, hands)
      } catch (error) {
        if (turn === 5 || !RekeyError.is(error) || !error.retryable) throw error
      }
    }
  }

  /**
   * What the outside shows, in words that are the same in every run: values are named in the order in which they are
   * seen, versions by whether readers get them.
   */
  async state(): Promise<unknown> {
    const { other, inside } = this.world
    const call = (): Call => ({ key: 'look', signal: AbortSignal.timeout(10_000) })
    const seen: Secret[] = []
    const name = (value: Secret) => {
      if (!seen.some((known) => known.equals(value))) seen.push(value)
      return `value ${seen.findIndex((known) => known.equals(value))}`
    }
    const looks = await Promise.all(
      other.stores.map(async ({ store }) =>
        Promise.all([
          store.readCurrent(call()),
          Promise.all(GENERATIONS.map((generation) => store.read(generation, call()))),
          store.list(call()),
        ]),
      ),
    )
    const stores = looks.map(([current, held, listed]) => ({
      current: current && name(current.value),
      held: held.map((found) => found && `${name(found.value)} as ${found.keyId}`),
      listed: listed.map(({ generation, labels }) => `${generation ?? 'none'} ${labels.join()}`).sort(),
    }))
    const accepted: Record<string, string[]> = {}
    for (const value of [...seen]) {
      const verdicts = await other.authority.probe(value, call())
      accepted[name(value)] = verdicts.map(({ endpoint, verdict }) => `${verdict} at ${endpoint}`)
    }
    return { stores, accepted, inside: inside?.() }
  }

  /** What a worker reported, in words that are the same in every run. */
  async told(effect: Effect, result: EffectResult): Promise<unknown> {
    if (!('storeVersion' in result) || !('store' in effect)) return result
    const call: Call = { key: 'look', signal: AbortSignal.timeout(10_000) }
    const store = this.world.other.stores.find((one) => one.name === effect.store)?.store
    if (result.kind === 'stage') {
      const held = await store?.read(effect.generation, call)
      const proves = held && proofPublicKey(held.value, 'key', effect.generation) === result.proofKey
      return { keyId: result.keyId, proofKey: proves ? 'of what the store holds' : 'of something else' }
    }
    if (result.storeVersion === null) return { version: 'none' }
    const current = await store?.readCurrent(call)
    return { version: current?.storeVersion === result.storeVersion ? 'what readers get' : 'another' }
  }
}
