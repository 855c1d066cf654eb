import { describe, expect, test } from 'vitest'
import { decide } from './decide.ts'
import { desired } from './desired.ts'
import type { Effect, EffectResult } from './effects.ts'
import type { RotationEvent } from './events.ts'
import { evolve, evolveAll } from './evolve.ts'
import type { Decision, Facts, Input, Member } from './inputs.ts'
import { open } from './open.ts'
import { MAY_FOLLOW, RETIREMENT_MAY_FOLLOW, type Rotation } from './state.ts'

/** A small world around one rotation: nodes, two stores, clients, workers that repeat and reorder. One seed, one world. */
class World {
  now = 1_000_000
  rotation: Rotation
  history: RotationEvent[] = []
  pending = new Map<string, Effect>()
  done: { effect: Effect; result: EffectResult }[] = []
  unsent: Input[] = []
  /** What each node really accepts. */
  nodes = new Map<
    string,
    { accept: number[]; revision: number; proved: number; lastUse: Map<number, number> }
  >()
  desired = new Map<string, { accept: number[]; revision: number }>()
  stores: Record<string, number | null>
  clients: number[]
  random: () => number

  constructor(seed: number, base: number | null) {
    this.random = mulberry(seed)
    this.stores = { vault: base, aws: base }
    this.clients = base === null ? [] : [base, base, base]
    for (let i = 0; i < 1 + Math.floor(this.random() * 5); i++)
      this.join(`n${i}`, base === null ? [] : [base])
    const opening = open(
      {
        id: 'r1',
        credential: 'key',
        cause: { kind: 'order', actor: 'test', reason: 'test' },
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
          expediteDrainMs: 100,
          soakMs: null,
          refusalLagMs: 0,
          stores: ['vault', 'aws'],
          waves: [1, '50%'],
          settleMs: 10,
          waveDeadlineMs: 5_000,
          quietMs: 50,
          readerCacheMs: 100,
          drainCapMs: 2_000,
          evidenceMs: 500,
          overdueMs: 1_000_000,
        },
        base,
        revision: 7,
      },
      { now: this.now, members: [], nextGeneration: (base ?? 0) + 1, leasedUntil: 0 },
    )
    this.rotation = opening.rotation
    this.take(opening, undefined)
  }

  join(name: string, accept: number[]) {
    this.nodes.set(name, { accept, revision: 0, proved: 0, lastUse: new Map() })
    this.desired.set(name, { accept, revision: 0 })
  }

  facts(): Facts {
    const members = [...this.nodes].map(
      ([node, n]): Member => ({
        node,
        excused: false,
        lost: false,
        provedRevision: n.proved,
        accepts: n.proved > 0 || n.revision === 0 ? n.accept : [],
        reportedAt: this.now,
        usage: [...n.lastUse].map(([generation, at]) => ({ generation, inFlight: 0, lastUsedAt: at })),
      }),
    )
    return { now: this.now, members, nextGeneration: 5, leasedUntil: 0 }
  }

  submit(input: Input): Decision {
    const decision = decide(this.rotation, input, this.facts())
    this.take(decision, this.rotation)
    return decision
  }

  take(decision: Decision, before: Rotation | undefined) {
    let state = before
    for (const event of decision.events) {
      const next = evolve(state, event)
      if (state) this.checkStep(state, next)
      state = next
      this.history.push(event)
      if (event.type === 'WaveStarted')
        for (const node of event.nodes)
          if (this.nodes.has(node)) this.desired.set(node, { accept: event.accept, revision: event.revision })
      if (event.type === 'RevocationStarted') this.checkGate(event.generation)
      if (event.type === 'SuccessorAbandoned') this.pending.clear()
    }
    if (state) this.rotation = state
    for (const effect of decision.effects) this.pending.set(effect.key, effect)
  }

  /** I2: nobody may be left who does not accept what stays. */
  checkGate(dying: number) {
    for (const n of this.nodes.values()) expect(n.accept.some((g) => g !== dying)).toBe(true)
    for (const label of Object.values(this.stores)) expect(label).not.toBe(dying)
  }

  checkStep(from: Rotation, to: Rotation) {
    if (from.successor && to.successor && from.successor.step !== to.successor.step)
      expect(MAY_FOLLOW[from.successor.step]).toContain(to.successor.step)
    for (const r of from.retirements) {
      const next = to.retirements.find((n) => n.generation === r.generation)
      if (next && next.step !== r.step) expect(RETIREMENT_MAY_FOLLOW[r.step]).toContain(next.step)
    }
  }

  /** I1: what a client presents is accepted by every node. */
  checkClients() {
    for (const g of this.clients)
      for (const [name, n] of this.nodes)
        if (!n.accept.includes(g))
          throw new Error(`${name} refuses generation ${g}: ${JSON.stringify(this.rotation)}`)
  }

  pick<T>(list: T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)]
  }

  act(effect: Effect): EffectResult | undefined {
    switch (effect.kind) {
      case 'stage':
        return { kind: 'stage', storeVersion: 's', keyId: 'k', proofKey: null }
      case 'promote':
        this.stores[effect.store] = effect.generation
        return { kind: 'promote', storeVersion: 'v' }
      case 'restore':
        this.stores[effect.store] = effect.base
        return { kind: 'restore', storeVersion: 'v' }
      case 'destroy':
        expect(this.stores[effect.store]).not.toBe(effect.generation)
        return { kind: 'destroy' }
      case 'deliver':
        return { kind: 'deliver' }
      case 'probe': {
        const says = (g: number) =>
          [...this.nodes.values()].every((n) => n.accept.includes(g)) ? 'accepted' : 'refused'
        const control = effect.control === null ? null : says(effect.control)
        // An endpoint that does not answer shows nothing.
        if (this.random() < 0.2)
          return {
            kind: 'probe',
            results: [{ endpoint: 'e', verdict: 'unknown', seen: '503', control: null }],
          }
        return {
          kind: 'probe',
          results: [{ endpoint: 'e', verdict: says(effect.generation), seen: '', control }],
        }
      }
      default:
        return undefined
    }
  }

  step() {
    this.now += Math.floor(this.random() * 40)
    const roll = this.random()
    if (roll < 0.35) {
      const due = this.pick([...this.pending.values()].filter((e) => e.due <= this.now))
      if (!due) return
      this.pending.delete(due.key)
      if (due.kind === 'timer') this.submit({ type: 'TimerFired', timer: due.timer })
      else {
        const result = this.act(due)
        if (!result) return
        // The worker crashes after the act now and then: the effect comes back.
        if (this.random() < 0.2) this.pending.set(due.key, due)
        else {
          this.done.push({ effect: due, result })
          this.submit({ type: 'EffectDone', effect: due, result })
        }
      }
    } else if (roll < 0.7) {
      const name = this.pick([...this.nodes.keys()])
      const node = name === undefined ? undefined : this.nodes.get(name)
      const desired = name === undefined ? undefined : this.desired.get(name)
      if (!node || !desired || node.revision >= desired.revision) return
      node.accept = desired.accept
      node.revision = desired.revision
      node.proved = desired.revision
      this.submit({ type: 'WaveProved', revision: desired.revision })
    } else if (roll < 0.8) {
      const client = Math.floor(this.random() * this.clients.length)
      const label = this.pick(Object.values(this.stores))
      const present = this.clients[client]
      if (present === undefined) return
      if (label !== undefined && label !== null && this.random() < 0.7) this.clients[client] = label
      const node = this.pick([...this.nodes.values()])
      node?.lastUse.set(this.clients[client] ?? present, this.now)
    } else if (roll < 0.85 && this.done.length > 0) {
      const old = this.pick(this.done)
      if (old) this.submit({ type: 'EffectDone', ...old })
    } else if (roll < 0.87 && this.nodes.size < 8) {
      const current = this.stores.vault ?? null
      const { accept } = desired(this.rotation, current)
      const name = `j${this.nodes.size}`
      this.join(name, accept)
      const node = this.nodes.get(name)
      if (node) {
        node.revision = this.rotation.revision
        node.proved = this.rotation.revision
      }
      this.submit({ type: 'NodesChanged' })
    } else if (roll < 0.95) {
      for (const r of this.rotation.retirements)
        this.submit({ type: 'AuditAcknowledged', generation: r.generation })
    } else if (roll < 0.96)
      this.submit({
        type: 'CauseAdded',
        cause: { kind: 'order', actor: 'x', reason: 'again' },
        mode: 'rotate',
        goal: 'replace',
        compromised: [],
      })
    // A reader of a store keeps a value no longer than its declared cache age.
    if (this.rotation.retirements.some((r) => r.step === 'draining' && this.now > r.since + 60)) {
      const label = this.stores.vault
      if (label !== null && label !== undefined) this.clients = this.clients.map(() => label)
    }
    this.checkClients()
  }
}

function mulberry(seed: number) {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

function walk(world: World, each?: (step: number) => void) {
  for (let i = 0; i < 5_000 && !world.rotation.outcome; i++) {
    each?.(i)
    world.step()
  }
}

describe('a random walk', () => {
  test('ends with the old generation dead, and no client is ever refused', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const world = new World(seed, 3)
      walk(world)
      expect(world.rotation.outcome, `seed ${seed}: ${JSON.stringify(world.rotation)}`).toBe('closed')
      expect(world.stores).toEqual({ vault: 4, aws: 4 })
      for (const n of world.nodes.values()) expect(n.accept, `seed ${seed}`).toEqual([4])
    }
  })

  test('makes a first generation where there is none', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const world = new World(seed, null)
      walk(world)
      expect(world.rotation.outcome, `seed ${seed}`).toBe('closed')
      expect(world.stores).toEqual({ vault: 1, aws: 1 })
    }
  })

  test('rolls back from wherever it is, with the new generation dead and no client refused', () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 200; seed++) {
      const world = new World(seed, 3)
      const at = Math.floor(world.random() * 120)
      let refusal: string | undefined
      walk(world, (i) => {
        if (i === at) {
          seen.add(world.rotation.successor?.step ?? '')
          refusal = world.submit({ type: 'RollbackAsked', actor: 'human', reason: 'test' }).refusal
        }
      })
      const abandoned = world.rotation.successor?.step === 'abandoned'
      const ends = abandoned ? ['rolled-back', 'cancelled'] : ['closed']
      expect(ends, `seed ${seed} ${JSON.stringify(world.rotation)}`).toContain(world.rotation.outcome)
      expect(world.stores, `seed ${seed}`).toEqual(abandoned ? { vault: 3, aws: 3 } : { vault: 4, aws: 4 })
      if (refusal === undefined && world.history.some((e) => e.type === 'SuccessorAbandoned'))
        expect(abandoned).toBe(true)
      for (const n of world.nodes.values()) expect(n.accept, `seed ${seed}`).toEqual([abandoned ? 3 : 4])
    }
    expect([...seen].sort()).toEqual(['confirming', 'live', 'planned', 'promoting', 'rolling', 'staging'])
  })

  test('gives the same state when its journal is replayed', () => {
    const world = new World(7, 3)
    walk(world)
    expect(evolveAll(undefined, world.history)).toEqual(world.rotation)
  })
})
