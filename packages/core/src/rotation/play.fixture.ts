import { OPENING } from './bench.fixture.ts'
import { decide } from './decide.ts'
import type { Effect, EffectResult } from './effects.ts'
import type { ProbeSeen, RotationEvent } from './events.ts'
import { evolveAll } from './evolve.ts'
import type { Asked, Decision, Facts, Input, Member, Observation } from './inputs.ts'
import { type Opening, open } from './open.ts'
import { type Rotation, rolloutsOf } from './state.ts'

/** A world in which everything works at once: nodes obey, stores and the authority answer, the topic acknowledges. */
export class Play {
  now = 10_000
  rotation: Rotation
  members: Member[]
  events: RotationEvent[] = []
  pending = new Map<string, Effect>()
  nextGeneration: number
  leasedUntil = 0
  /** Outbound: what the authority accepts. */
  valid = new Set<number>([1])
  /** Outbound: what a look at the authority shows now. */
  look: () => Observation[] = () => []
  stores = new Map<string, number | null>([
    ['vault', 1],
    ['aws', 1],
  ])
  /** What each node was told last. */
  desired = new Map<string, { accept: number[]; revision: number }>()
  /** Nodes that do nothing, and effects that nobody works on. */
  silent = new Set<string>()
  stuck = (_effect: Effect) => false

  constructor(opening: Partial<Opening> = {}, nodes = ['n1', 'n2', 'n3']) {
    this.nextGeneration = 2
    this.members = nodes.map((node) => ({
      node,
      excused: false,
      lost: false,
      provedRevision: 0,
      accepts: [1],
      reportedAt: this.now,
      usage: [],
    }))
    const plan = { ...OPENING.plan, waves: [1, 1, '100%'], ...opening.plan }
    const decision = open({ ...OPENING, ...opening, plan }, this.facts())
    this.rotation = decision.rotation
    this.take(decision)
  }

  facts(): Facts {
    const { now, members, nextGeneration, leasedUntil } = this
    // The first facts are asked for before this class has its fields.
    const observed = this.look?.() ?? []
    return { now, members, nextGeneration, leasedUntil, observed }
  }

  take({ events, effects }: Decision) {
    this.events.push(...events)
    for (const event of events) {
      const made =
        event.type === 'RotationOpened' || event.type === 'SuccessorPlanned' ? event.generation : null
      if (made !== null) this.nextGeneration = Math.max(this.nextGeneration, made + 1)
      if (event.type === 'SuccessorAbandoned') this.cancel([event.generation, ...event.dropped])
      if (event.type === 'WaveStarted') for (const node of event.nodes) this.desired.set(node, event)
      if (event.type === 'OffboardingCancelled') this.cancel([event.generation])
    }
    for (const effect of effects)
      if (!this.pending.has(effect.key) || effect.kind === 'timer') this.pending.set(effect.key, effect)
  }

  cancel(tracks: number[]) {
    for (const effect of this.pending.values())
      if (effect.of !== null && tracks.includes(effect.of)) this.pending.delete(effect.key)
  }

  give(input: Input): Decision & { types: string[] } {
    const decision = decide(this.rotation, input, this.facts())
    this.rotation = evolveAll(this.rotation, decision.events) ?? this.rotation
    this.take(decision)
    return { ...decision, types: decision.events.map((e) => e.type) }
  }

  add(asked: Partial<Asked>) {
    return this.give({
      type: 'CauseAdded',
      cause: { kind: 'leak', actor: 'me', reason: 'found in a log' },
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
      ...asked,
    })
  }

  rollback() {
    return this.give({ type: 'RollbackAsked', actor: 'me', reason: 'second thoughts' })
  }

  types(): string[] {
    return this.events.map((e) => e.type)
  }

  /** Plays until `until` holds, or nothing more happens. */
  play(until: (play: Play) => boolean = () => false): this {
    for (let turn = 0; turn < 2_000 && !this.rotation.outcome && !until(this); turn++) this.turn()
    return this
  }

  playTo(type: RotationEvent['type'], generation?: number): this {
    return this.play(({ events }) =>
      events.some(
        (e) =>
          e.type === type && (generation === undefined || ('generation' in e && e.generation === generation)),
      ),
    )
  }

  private turn() {
    const due = [...this.pending.values()].find((e) => e.due <= this.now && !this.stuck(e))
    if (due) {
      this.pending.delete(due.key)
      if (due.kind === 'timer') this.give({ type: 'TimerFired', timer: due.timer })
      else this.give({ type: 'EffectDone', effect: due, result: this.act(due) })
      return
    }
    if (this.obey()) return
    const announced = this.rotation.retirements.find((r) => r.announced && !r.acknowledged)
    if (announced) this.give({ type: 'AuditAcknowledged', generation: announced.generation })
    this.now += 50
    for (const member of this.members) if (!this.silent.has(member.node)) member.reportedAt = this.now
  }

  /** The next node that has something newer takes it. */
  private obey(): boolean {
    for (const member of this.members) {
      const told = this.desired.get(member.node)
      if (!told || this.silent.has(member.node) || member.provedRevision >= told.revision) continue
      member.provedRevision = told.revision
      member.accepts = told.accept
      for (const { revision } of rolloutsOf(this.rotation)) this.give({ type: 'WaveProved', revision })
      return true
    }
    return false
  }

  private act(effect: Effect): EffectResult {
    switch (effect.kind) {
      case 'stage':
        return { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null }
      case 'install':
      case 'reinstate':
        this.valid.add(effect.generation)
        return { kind: effect.kind }
      case 'suspend':
      case 'revoke':
        this.valid.delete(effect.generation)
        return { kind: effect.kind }
      case 'promote':
      case 'restore':
        this.stores.set(effect.store, effect.kind === 'promote' ? effect.generation : effect.base)
        return { kind: effect.kind, storeVersion: 'v' }
      case 'withdraw':
        if (this.stores.get(effect.store) !== effect.generation)
          return { kind: 'withdraw', storeVersion: null }
        this.stores.set(effect.store, null)
        return { kind: 'withdraw', storeVersion: 'w' }
      case 'probe':
        return { kind: 'probe', results: [this.probe(effect.generation, effect.control)] }
      case 'destroy':
      case 'deliver':
        return { kind: effect.kind }
      case 'timer':
        throw new Error('a timer is not acted on')
    }
  }

  private probe(generation: number, control: number | null): ProbeSeen {
    const isInbound = this.rotation.plan.direction === 'inbound'
    const says = (g: number) =>
      (isInbound ? this.members.every((m) => m.accepts.includes(g)) : this.valid.has(g))
        ? 'accepted'
        : 'refused'
    return {
      endpoint: 'e',
      verdict: says(generation),
      seen: '',
      control: control === null ? null : says(control),
    }
  }
}
