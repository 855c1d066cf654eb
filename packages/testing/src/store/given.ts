import { type Call, RekeyError, type Secret, type Store, type StoredValue } from '@rekey/contracts'
import { plantedSecret } from '../leak.ts'
import type { StoreFaults } from './faults.ts'

/** One fresh, empty secret and the ways to it. */
export type StoreUnderTest = {
  /** The store, over a way that `faults` breaks. */
  store: Store
  /** The same secret over a way of its own, as another worker has it. */
  another: Store
  faults: StoreFaults
  /** Somebody else leaves a pending version where Rekey would stage this generation. */
  foreignPending(generation: number): Promise<void>
  /** Somebody else changes what readers get, by hand. */
  foreignCurrent(): Promise<void>
  /** Somebody writes a value by hand, in the way that this kind's readers find it. */
  liveByHand(value: Secret): Promise<void>
  /** What such a reader gets now. */
  liveValue(): Promise<Secret | undefined>
  /** A store bound to a place that our identity has no right to, or that does not exist. */
  elsewhere?: Store
  close?(): Promise<void>
}

export type Given = () => StoreUnderTest

/** A new value of one generation. */
export function generationOf(generation: number, value: Secret = plantedSecret()): StoredValue {
  return { generation, keyId: `key-${generation}`, value }
}

/** Staged and promoted; returns the version that readers get. */
export async function live(store: Store, value: StoredValue, expected?: string): Promise<string> {
  const at = (step: string) => ({
    key: `live.${step}.${value.generation}`,
    signal: AbortSignal.timeout(10_000),
  })
  await store.stage(value, at('stage'))
  return await store.promote(value.generation, expected, at('promote'))
}

/** Repeats a call, under the same key, for as long as its error says that this may help. */
export async function untilSettled<T>(make: () => Promise<T>): Promise<T> {
  for (let turn = 1; ; turn++) {
    try {
      return await make()
    } catch (error) {
      if (turn === 10 || !RekeyError.is(error) || !error.retryable) throw error
    }
  }
}

export type Verb = [name: string, run: (store: Store, call: Call) => Promise<unknown>]

/** Every verb once, for tests of what all of them must do. */
export function verbs(value: StoredValue, current: StoredValue, version: string): Verb[] {
  return [
    ['stage', (store, call) => store.stage(value, call)],
    ['read', (store, call) => store.read(current.generation, call)],
    ['readCurrent', (store, call) => store.readCurrent(call)],
    ['readShown', (store, call) => store.readShown(call)],
    ['promote', (store, call) => store.promote(value.generation, version, call)],
    ['restore', (store, call) => store.restore(current, call)],
    ['destroy', (store, call) => store.destroy(value.generation, call)],
    ['list', (store, call) => store.list(call)],
    ['withdraw', (store, call) => store.withdraw(current.generation, call)],
  ]
}
