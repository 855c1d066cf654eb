import type { ErrorCode } from '@rekey/contracts'
import type { Effect, EffectKind } from '@rekey/core'

/**
 * What every step must stand, as a table: twice, with its request lost, with its answer lost, by two workers at once,
 * and its undo twice. `act-checks.ts` runs it, on stores in memory and on real ones. A kind of effect without a line
 * here does not compile.
 */
export type Case =
  | {
      /** Once for each store, or once on the authority. */
      on: 'store' | 'authority'
      /** What was done before, in this order. */
      before: (store: StoreName) => Effect[]
      effect: (store: StoreName) => Effect
      undo: Undo | Never
    }
  /** Nothing that a rotator could do twice. */
  | { on: 'nothing'; why: string; testedIn: string }

type Undo = {
  by: (store: StoreName) => Effect
  /** What becomes of the effect itself when it comes late, after its undo. */
  late: ErrorCode | 'changes nothing' | LeftToLeases
}
type Never = { never: string }
type LeftToLeases = { leases: string }

export const STORES = ['first', 'second'] as const
export type StoreName = (typeof STORES)[number]

const about = (kind: EffectKind, target: string) => ({ key: `key.${kind}.${target}`, due: 0, of: null })

export const stage = (store: StoreName, generation: number): Effect => ({
  ...about('stage', `${store}-g${generation}`),
  kind: 'stage',
  store,
  generation,
})

export const promote = (store: StoreName, generation: number): Effect => ({
  ...about('promote', `${store}-g${generation}`),
  kind: 'promote',
  over: [],
  store,
  generation,
  base: generation - 1 || null,
})

export const restore = (store: StoreName, generation: number): Effect => ({
  ...about('restore', `${store}-g${generation}`),
  kind: 'restore',
  store,
  generation,
  base: generation - 1,
})

export const withdraw = (store: StoreName, generation: number): Effect => ({
  ...about('withdraw', `${store}-g${generation}`),
  kind: 'withdraw',
  store,
  generation,
})

const destroy = (store: StoreName, generation: number): Effect => ({
  ...about('destroy', `${store}-g${generation}`),
  kind: 'destroy',
  store,
  generation,
})

const onAuthority = (kind: 'install' | 'suspend' | 'reinstate', generation: number): Effect => ({
  ...about(kind, `g${generation}`),
  kind,
  generation,
})

const revoke = (generation: number): Effect => ({
  ...about('revoke', `g${generation}`),
  kind: 'revoke',
  generation,
  round: 0,
  urgent: false,
})

const probe: Effect = {
  ...about('probe', 'g1'),
  kind: 'probe',
  purpose: 'refusal',
  generation: 1,
  control: 2,
  round: 0,
}

const staged = (generation: number) => STORES.map((store) => stage(store, generation))
const installed = (generation: number) => [...staged(generation), onAuthority('install', generation)]
const promoted = (generation: number) => STORES.map((store) => promote(store, generation))
const live = (generation: number) => [...installed(generation), ...promoted(generation)]

export const CONTRACT: Record<EffectKind, Case> = {
  stage: {
    on: 'store',
    before: (store) => [...live(1), ...(store === 'second' ? [stage('first', 2)] : [])],
    effect: (store) => stage(store, 2),
    undo: { by: (store) => destroy(store, 2), late: 'value_lost' },
  },
  install: {
    on: 'authority',
    before: () => [...live(1), ...staged(2)],
    effect: () => onAuthority('install', 2),
    undo: { by: () => revoke(2), late: 'not_allowed_now' },
  },
  promote: {
    on: 'store',
    before: (store) => [...live(1), ...installed(2), ...(store === 'second' ? [promote('first', 2)] : [])],
    effect: (store) => promote(store, 2),
    undo: { by: (store) => restore(store, 2), late: 'foreign_writer' },
  },
  restore: {
    on: 'store',
    before: () => [...live(1), ...installed(2), ...promoted(2), ...staged(3)],
    effect: (store) => restore(store, 2),
    undo: { by: (store) => promote(store, 3), late: 'changes nothing' },
  },
  withdraw: {
    on: 'store',
    before: () => [...live(1), ...installed(2), ...promoted(2)],
    effect: (store) => withdraw(store, 2),
    undo: { by: (store) => restore(store, 2), late: 'changes nothing' },
  },
  suspend: {
    on: 'authority',
    before: () => [...live(1), ...live(2)],
    effect: () => onAuthority('suspend', 1),
    undo: {
      by: () => onAuthority('reinstate', 1),
      late: { leases: 'it would suspend again: `reinstate` is not begun while a lease on `suspend` lasts' },
    },
  },
  reinstate: {
    on: 'authority',
    before: () => [...live(1), ...live(2), onAuthority('suspend', 1)],
    effect: () => onAuthority('reinstate', 1),
    undo: {
      by: () => onAuthority('suspend', 1),
      late: { leases: 'it would reinstate again: `suspend` is not begun while a lease on `reinstate` lasts' },
    },
  },
  revoke: {
    on: 'authority',
    before: () => [...live(1), ...live(2)],
    effect: () => revoke(1),
    undo: { never: 'the point of no return: a new generation is the only way on' },
  },
  destroy: {
    on: 'store',
    before: () => [...live(1), ...live(2), revoke(1)],
    effect: (store) => destroy(store, 1),
    undo: { never: 'a destroyed generation is never staged again; see `stage`' },
  },
  probe: {
    on: 'authority',
    before: () => [...live(1), ...live(2), revoke(1)],
    effect: () => probe,
    undo: { never: 'it changes nothing' },
  },
  deliver: {
    on: 'nothing',
    why: 'fleet hands it to the queues of nodes, and what arrives twice says the same: only proofs move a wave',
    testedIn: 'services/fleet/src/delivery-effect.unit.test.ts',
  },
  timer: {
    on: 'nothing',
    why: 'its act is an input to the core, in the transaction that marks it as fired',
    testedIn: 'packages/ledger/src/rotation.int.test.ts',
  },
}
