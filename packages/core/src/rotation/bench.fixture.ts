import { decide } from './decide.ts'
import type { Effect, EffectResult } from './effects.ts'
import { evolveAll } from './evolve.ts'
import type { Facts, Input, Member } from './inputs.ts'
import { type Opening, open } from './open.ts'
import type { Rotation } from './state.ts'

export const OPENING: Opening = {
  id: 'key-g2',
  credential: 'key',
  cause: { kind: 'order', actor: 'me', reason: 'test' },
  mode: 'rotate',
  goal: 'replace',
  compromised: [],
  movedAt: null,
  jitterMs: 0,
  alreadyDead: false,
  plan: {
    direction: 'inbound',
    slots: 2,
    windows: [],
    expediteDrainMs: 300,
    soakMs: null,
    refusalLagMs: 0,
    stores: ['vault', 'aws'],
    waves: ['100%'],
    settleMs: 10,
    waveDeadlineMs: 1_000,
    quietMs: 100,
    readerCacheMs: 200,
    drainCapMs: 5_000,
    evidenceMs: 1_000,
    overdueMs: 60_000,
  },
  base: 1,
  revision: 0,
}

/** A rotation with one node that does as it is told, moved on by hand. */
export class Bench {
  now = 1_000
  rotation: Rotation
  effects: Effect[]
  member: Member = {
    node: 'n1',
    excused: false,
    lost: false,
    provedRevision: 0,
    accepts: [1],
    reportedAt: 1_000,
    usage: [],
  }
  members = [this.member]
  silent = false
  nextGeneration = 2

  constructor(opening: Partial<Opening> = {}) {
    this.nextGeneration = (opening.base === null ? 0 : 1) + 1
    const { rotation, effects } = open({ ...OPENING, ...opening }, this.facts())
    this.nextGeneration++
    this.rotation = rotation
    this.effects = effects
  }

  facts(): Facts {
    const { now, members, nextGeneration } = this
    return { now, members, nextGeneration, leasedUntil: 0 }
  }

  give(input: Input) {
    if (!this.silent) this.member.reportedAt = this.now
    const decision = decide(this.rotation, input, this.facts())
    this.rotation = evolveAll(this.rotation, decision.events) ?? this.rotation
    this.effects.push(...decision.effects)
    return { ...decision, types: decision.events.map((e) => e.type) }
  }

  effect(kind: Effect['kind'], at = -1): Effect {
    const found = this.effects.filter((e) => e.kind === kind).at(at)
    if (!found) throw new Error(`no effect of kind ${kind}`)
    return found
  }

  done(kind: EffectResult['kind'], result: EffectResult) {
    return this.give({ type: 'EffectDone', effect: this.effect(kind), result })
  }

  /** The node takes its last desired state. */
  obey() {
    const rollout = this.rotation.successor?.rollout ?? this.rotation.retirements[0]?.rollout
    if (!rollout) throw new Error('nothing to obey')
    Object.assign(this.member, { provedRevision: rollout.revision, accepts: rollout.accept })
    return this.give({ type: 'WaveProved', revision: rollout.revision })
  }

  toRolling(): this {
    this.give({ type: 'TimerFired', timer: { name: 'settled' } })
    for (let i = 0; i < 2; i++)
      this.done('stage', { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null })
    return this
  }

  toDraining(): this {
    this.toRolling().obey()
    for (let i = 0; i < 2; i++) this.done('promote', { kind: 'promote', storeVersion: 'v' })
    this.obey()
    const results = [{ endpoint: 'e', verdict: 'accepted', seen: '200', control: 'accepted' }] as const
    this.done('probe', { kind: 'probe', results: [...results] })
    return this
  }

  look() {
    return this.give({ type: 'TimerFired', timer: { name: 'drain-look', generation: 1 } })
  }
}
