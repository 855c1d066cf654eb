import type { Effect, EffectResult } from '@rekey/core'

/** What a worker would report of an effect that went well. */
export function resultOf(effect: Effect): EffectResult {
  switch (effect.kind) {
    case 'timer':
      throw new Error('a timer has no result')
    case 'stage':
      return { kind: 'stage', storeVersion: 'staging', keyId: `key.g${effect.generation}`, proofKey: null }
    case 'promote':
    case 'restore':
      return { kind: effect.kind, storeVersion: `v${effect.generation}` }
    case 'withdraw':
      return { kind: 'withdraw', storeVersion: null }
    case 'probe': {
      const verdict = effect.purpose === 'baseline' ? 'accepted' : 'refused'
      return { kind: 'probe', results: [{ endpoint: 'gateway', verdict, seen: '', control: 'accepted' }] }
    }
    default:
      return { kind: effect.kind }
  }
}
