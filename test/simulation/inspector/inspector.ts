import type { ServingNode } from '../node.ts'
import type { Place } from '../place.ts'
import type { Shown } from '../servers/kv-server.ts'
import type { World } from '../world.ts'
import { Pauses } from './pauses.ts'
import { Proofs } from './proofs.ts'
import { type Chronicle, type Entry, Record_ } from './record.ts'
import { Replays } from './replays.ts'
import { Violation } from './violation.ts'

/**
 * Looks at the whole world after every step and holds it to the invariants. Its truth is what nodes and authorities
 * really accept, what stores really show and clients really present, and the journal; never what the core believes.
 */
export class Inspector {
  readonly #world: World
  readonly record: Record_
  readonly #proofs: Proofs
  readonly #replays: Replays
  readonly #pauses: Pauses
  /** What was looked at last, so that a step that changed nothing costs nothing. */
  #seen = -1

  constructor(world: World) {
    this.#world = world
    this.record = new Record_(world)
    this.#proofs = new Proofs(world)
    this.#replays = new Replays(world)
    this.#pauses = new Pauses(world)
    world.onWrite = (key, what) => this.#intended(key, what)
    world.onOutcome = ({ effect: { key }, attempt }) => this.#outcome(key, attempt)
    world.onFoundDead = (credential, generation) => this.record.of(credential).foundDead.add(generation)
    for (const fleet of world.fleets) fleet.onAcks = (acks) => this.#proofs.hear(acks)
  }

  afterStep(): void {
    // All of a step first: who is gone is written after what follows from it.
    const news = [...this.record.news()]
    this.#pauses.hear(news.map(({ entry }) => entry))
    for (const { entry, about } of news) {
      if (!about) continue
      if (entry.type === 'RevocationStarted') this.#revocation(entry, about)
      if (entry.type === 'RetirementOpened') this.#wayBack(entry, about)
      this.record.take(entry, about)
      if (entry.type === 'GenerationDead') this.#death(Number(entry.data.generation), about)
    }
    this.#pauses.afterStep()
    const changes = this.#changes()
    for (const [credential, place] of this.#world.places) {
      const about = this.record.of(credential)
      // These end with time alone.
      const isTimed = place.authority.isLagging || about.excused.size > 0
      if (isTimed || changes !== this.#seen) this.#presented(place, about)
    }
    if (changes === this.#seen) return
    this.#seen = changes
    for (const [credential, place] of this.#world.places) {
      const about = this.record.of(credential)
      this.#counted(place)
      for (const generation of about.dead.keys()) this.#stillDead(place, about, generation)
    }
    this.#replays.sometimes()
  }

  atEnd(): void {
    this.#replays.atEnd()
  }

  #changes(): number {
    let sum = this.#world.ledger.tables.journal.length
    for (const node of this.#world.nodes) for (const keeper of node.keepers.values()) sum += keeper.changes
    for (const server of this.#world.servers.values()) sum += server.changes
    for (const { authority, isIdle } of this.#world.places.values())
      sum += authority.changes + (isIdle ? 0.5 : 0)
    for (const client of this.#world.clients) sum += client.changes
    return sum
  }

  /** Nodes that serve a credential now, and for which nobody else answers. */
  *#serving(about: Chronicle): Generator<{ node: ServingNode; gateway: Map<number, string> }> {
    for (const node of this.#world.nodes) {
      const gateway = node.keepers.get(about.credential)?.gateway
      if (!gateway || node.isDown || this.record.gone.has(node.name)) continue
      if (this.#isExcused(node.name, about) || this.#isLeftBehind(node, about)) continue
      yield { node, gateway }
    }
  }

  #isExcused(node: string, about: Chronicle): boolean {
    return (about.excused.get(node) ?? 0) > this.#world.ground.ledgerNow
  }

  #isLeftBehind(node: ServingNode, { credential, leftBehind }: Chronicle): boolean {
    const revision = leftBehind.get(node.name)
    return revision !== undefined && (node.keepers.get(credential)?.revision ?? -1) < revision
  }

  /** I1: what is presented is accepted, wherever it can be presented. */
  #presented({ plan, authority, isIdle, name }: Place, about: Chronicle): void {
    if (isIdle) return
    const isWaived = ({ generation }: Shown) =>
      (about.compromised.has(generation) && about.contained.has(generation)) ||
      about.foundDead.has(generation) ||
      about.leftUnused.has(generation)
    // Whoever counted on a window that the ledger's clock jumped over may be cut off: a stated limit.
    const { now, jumpedAt } = this.#world.ground
    for (const client of now < jumpedAt + plan.readerCacheMs ? [] : this.#world.clients) {
      const presents = client.credential === name ? client.presents : undefined
      if (!presents || isWaived(presents)) continue
      if (plan.direction === 'outbound') {
        if (!authority.accepts(presents))
          throw new Violation(
            'I1',
            `${client.name} presents ${name} g${presents.generation}, which is refused`,
          )
        continue
      }
      for (const { node, gateway } of this.#serving(about))
        if (gateway.get(presents.generation) !== presents.text)
          throw new Violation(
            'I1',
            `${client.name} presents ${name} g${presents.generation}, and ${node.name} accepts ${[...gateway.keys()]}`,
          )
    }
    if (plan.direction === 'outbound')
      for (const { node, gateway } of this.#serving(about))
        for (const [generation, text] of gateway)
          if (!isWaived({ generation, text }) && !authority.accepts({ generation, text }))
            throw new Violation('I1', `${node.name} presents ${name} g${generation}, which is refused`)
  }

  /** I2 and I8: who must be ready for it is ready for it, when a revocation starts. */
  #revocation(entry: Entry, about: Chronicle): void {
    const { credential } = about
    const dying = Number(entry.data.generation)
    if (entry.data.mode === 'contain') {
      if (!about.compromised.has(dying))
        throw new Violation('I2', `${credential} g${dying} is contained, and nobody said that it leaked`)
      return
    }
    if (entry.data.mode === 'rotate') this.#announced(entry, dying)
    const place = this.#world.places.get(credential)
    if (!place || place.isIdle) return
    if (this.record.isOffboarding(entry)) {
      const lately = this.#world.ground.now - place.plan.quietMs - place.plan.readerCacheMs
      const users = this.#world.clients.filter((c) => c.credential === credential && c.presents)
      if (users.every((c) => c.emptyAt > lately)) about.leftUnused.add(dying)
      return
    }
    // What nobody was told of is used by nobody.
    if (!about.told.has(dying)) return
    // Nothing stays where nothing was ever in use, or where what was is contained, or was dead before.
    const { current } = about
    const isOver = current === dying || about.revoked.has(current ?? 0) || about.foundDead.has(current ?? 0)
    const stays = isOver ? null : current
    for (const node of this.#world.nodes) {
      if (stays === null) break
      const row = this.#world.ledger.tables.nodes.get(node.name)
      if (!row || this.record.gone.has(node.name) || this.#isExcused(node.name, about)) continue
      const gateway = node.keepers.get(credential)?.gateway
      if (gateway && !node.isDown && !gateway.has(stays))
        throw new Violation(
          'I2',
          `${credential} g${dying} is revoked, and ${node.name} does not hold g${stays}`,
        )
      // What no store ever showed is in nobody's hands, so that it makes no difference when the stores moved.
      const since = about.promoted.has(dying) ? about.movedAt : 0
      if (!this.#proofs.showed(node.name, credential, stays, since))
        throw new Violation(
          'I2',
          `${credential} g${dying} is revoked, and ${node.name} never showed g${stays} since the stores moved`,
        )
    }
    for (const store of place.plan.stores) {
      const shown = this.#world.servers.get(store)?.current(credential)
      if (shown?.generation === dying)
        throw new Violation('I8', `${credential} g${dying} is revoked, and readers of ${store} still get it`)
    }
  }

  /** Nothing goes back to what leaked. */
  #wayBack({ data }: Entry, { credential, compromised }: Chronicle): void {
    const back = data.back as number | null
    if (back !== null && compromised.has(back))
      throw new Violation('I3', `${credential} goes back to g${back}, which leaked`)
  }

  /** What a routine revocation needs beside its proofs: the audit topic has its intent. */
  #announced(entry: Entry, dying: number): void {
    const { journal } = this.#world.ledger.tables
    const last = (type: string) =>
      journal.findLast((e) => e.type === type && e.stream === entry.stream && e.data.generation === dying)
    // What nobody ever saw goes straight to its end.
    if (last('RetirementOpened')?.data.shown === false) return
    const intent = last('RevocationAnnounced')
    const isThere = this.#world.auditor.topic.some((record) => record.position === intent?.position)
    if (!isThere)
      throw new Violation('I2', `g${dying} is revoked, and the audit topic does not have the intent`)
  }

  /** I3: dead is dead, at its authority and in every store. */
  #death(generation: number, about: Chronicle): void {
    const place = this.#world.places.get(about.credential)
    if (place) this.#stillDead(place, about, generation)
  }

  #stillDead({ name, plan, authority, isIdle }: Place, about: Chronicle, generation: number): void {
    const what = `${name} g${generation} is dead`
    if (plan.direction === 'outbound') {
      const state = authority.state(generation)
      if (state === 'active' || state === 'suspended' || authority.isStillAccepting(generation))
        throw new Violation('I3', `${what}, and ${state} at its authority`)
    }
    // Where nobody uses it any more, it does not matter what an application still holds.
    this.#storesLetGo(name, plan.stores, generation)
    if (plan.direction === 'outbound' && isIdle) return
    const exceptions = about.dead.get(generation)?.exceptions ?? []
    for (const { node, gateway } of this.#serving(about))
      if (gateway.has(generation) && !exceptions.includes(`excused ${node.name}`))
        throw new Violation('I3', `${what}, and ${node.name} holds it`)
    for (const row of this.#world.ledger.tables.placements.all())
      if (row.credential === name && row.accept.includes(generation))
        if (this.#world.ledger.tables.nodes.get(row.node)?.state !== 'gone')
          throw new Violation('I3', `${what}, and ${row.node} is told to accept it`)
  }

  #storesLetGo(name: string, stores: string[], generation: number): void {
    for (const store of stores)
      if (this.#world.servers.get(store)?.holds(name, generation))
        throw new Violation('I3', `${name} g${generation} is dead, and ${store} holds it`)
  }

  /** I6: an outcome of an attempt that is not the present one any more decides nothing. */
  #outcome(key: string, attempt: number): () => void {
    const { effects, journal } = this.#world.ledger.tables
    const before = effects.get(key)
    const isLate = before?.state !== 'pending' || before.attempt !== attempt
    const { length } = journal
    return () => {
      const after = effects.get(key)
      const isChanged = journal.length > length || after?.state !== before?.state
      if (isLate && isChanged)
        this.#world.failWith(
          new Violation('I6', `attempt ${attempt} of ${key} came too late, and decided something`),
        )
    }
  }

  /** I4: never more generations at once than there is room for. */
  #counted({ name, authority }: Place): void {
    for (const node of this.#world.nodes) {
      const gateway = node.keepers.get(name)?.gateway
      if (gateway && gateway.size > 2)
        throw new Violation('I4', `${node.name} accepts ${[...gateway.keys()]} of ${name}`)
    }
    if (authority.used > authority.about.slots)
      throw new Violation('I4', `the authority of ${name} holds ${authority.used} generations`)
  }

  /** I5: whatever is changed outside was intended before, in the ledger. */
  #intended(key: string | undefined, what: string): void {
    const row = this.#world.ledger.tables.effects.get(key ?? '')
    if (!row || row.attempt === 0) throw new Violation('I5', `${what} has no intent (${key})`)
  }
}
