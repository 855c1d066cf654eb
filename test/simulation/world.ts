import { memoryLedger } from '@rekey/testing/ledger'
import { AuditWriter } from './audit-writer.ts'
import { Client } from './client.ts'
import { Conductor } from './conductor.ts'
import { configure } from './configured.ts'
import { Consumers } from './consumers.ts'
import type { Fault } from './faults.ts'
import { Fleet } from './fleet.ts'
import { Ground } from './ground.ts'
import { handsFor, type Workshop } from './hands.ts'
import { Intake } from './intake.ts'
import { Keeper } from './keeper.ts'
import { type Call, watched } from './ledger.ts'
import { ServingNode } from './node.ts'
import type { Order } from './orders.ts'
import { People } from './people.ts'
import { type Places, placesOn } from './place.ts'
import { Process } from './process.ts'
import { JobQueue } from './queue.ts'
import { type Leased, Rotator } from './rotator.ts'
import type { Scenario } from './scenario.ts'
import { KvServer } from './servers/kv-server.ts'
import type { OnWrite } from './servers/way.ts'
import { type StoreServers, storeServersOn } from './stores.ts'
import { strikes } from './strikes.ts'

export type WorldOptions = {
  /** Keeps all that happened, not only the last of it. */
  keepAll?: boolean
  /** Hears of each call to the ledger, at its clock's time. */
  onCall?: (call: Call, at: number) => void
}

/** The whole of it: Rekey's processes, servers, nodes, clients and people, on one ground. */
export class World {
  readonly scenario: Scenario
  readonly ground: Ground
  readonly ledger: ReturnType<typeof memoryLedger>
  readonly places: Places
  readonly servers: StoreServers
  readonly nodes: ServingNode[]
  readonly fleets: Fleet[]
  readonly clients: Client[] = []
  readonly intake: Intake
  readonly auditor: AuditWriter
  readonly rotators: Rotator[]
  readonly conductors: Conductor[]
  readonly queue: JobQueue
  readonly people: People
  readonly #consumers: Consumers
  /** Set by the inspector. */
  onWrite: OnWrite = () => undefined
  onReached: (node: ServingNode, credential: string, revision: number, accept: number[]) => void = () =>
    undefined
  onOutcome: (leased: Leased) => (recorded: 'recorded' | 'late') => void = () => () => undefined
  /** The authority ended a generation by itself. */
  onFoundDead: (credential: string, generation: number) => void = () => undefined
  #made = 0
  #failure: unknown

  constructor(scenario: Scenario, options: WorldOptions = {}) {
    this.scenario = scenario
    const ground = new Ground(scenario.seed, scenario, options.keepAll ?? false)
    this.ground = ground
    const ledger = watched(
      memoryLedger({ clock: () => ground.ledgerNow }),
      (error) => this.failWith(error),
      options.onCall && ((call) => options.onCall?.(call, ground.ledgerNow)),
    )
    this.ledger = ledger
    this.servers = storeServersOn(ground)
    this.places = placesOn(ground, scenario)
    this.queue = new JobQueue(ground)
    this.fleets = ['a', 'b'].map((name) => new Fleet(new Process(ground, name), ledger, this.queue))
    this.nodes = scenario.nodes.map(({ name, version }) => this.#node(name, version))
    this.rotators = Array.from({ length: scenario.rotators }, (_, index) => this.#rotator(index))
    this.conductors = Array.from(
      { length: scenario.conductors },
      (_, i) => new Conductor(new Process(ground, `conductor-${i + 1}`), ledger, this.queue),
    )
    this.intake = new Intake(new Process(ground, 'intake'), ledger)
    this.auditor = new AuditWriter(new Process(ground, 'auditor'), ledger)
    const consumers = new Consumers({
      ground,
      places: this.places,
      nodes: this.nodes,
      isRotating: (credential) => this.see(credential).rotation !== undefined,
    })
    this.#consumers = consumers
    this.people = new People({
      ground,
      ledger,
      nodes: this.nodes,
      credentials: [...this.places.keys()],
      see: (credential) => this.see(credential),
      isAlone: (credential) => this.isAlone(credential),
      onRetired: (credential, isRetired) => consumers.retire(credential, isRetired),
    })
    ledger.onEffects(() => {
      for (const conductor of this.conductors) conductor.wake(ground.random.between(1, 8))
      this.auditor.wake()
    })
    ground.onBegin = (fault) => this.#strike(fault)
  }

  /** What is configured, and all that will happen. */
  async begin(): Promise<void> {
    const { scenario, ground, ledger, places, servers } = this
    await configure({ ledger, places, servers, make: (credential) => this.#make(credential) })
    for (const [i, { credential, store }] of scenario.clients.entries()) {
      const place = places.get(credential)
      const server = servers.get(store)
      if (!place || !server) continue
      const about = { name: `client-${i + 1}`, credential, server, cacheMs: place.plan.readerCacheMs }
      const client = new Client(ground, about)
      this.clients.push(client)
      if (place.plan.direction === 'inbound') this.#consumers.send(client)
    }
    for (const [i, { joinsAt }] of scenario.nodes.entries())
      ground.agenda.at(joinsAt, () => this.nodes[i]?.join())
    for (const order of scenario.orders) ground.plan(order, () => this.#order(order), order.credential)
    for (const event of scenario.events)
      for (let copy = 0; copy < event.copies; copy++)
        ground.agenda.at(event.at + copy * event.apartMs, () => this.intake.produce(event))
  }

  #make(credential: string): string {
    return `${credential} value ${++this.#made}`
  }

  #rotator(index: number): Rotator {
    const { ground, ledger, places, servers, nodes } = this
    const workshop: Workshop = {
      ground,
      places,
      servers,
      nodes,
      make: (credential) => this.#make(credential),
      onWrite: (key, what) => this.onWrite(key, what),
    }
    const rotator: Rotator = new Rotator({
      process: new Process(ground, `rotator-${index + 1}`),
      index,
      ledger,
      hands: (leased, process) => handsFor(leased, process, workshop),
      onOutcome: (leased) => this.onOutcome(leased),
    })
    this.queue.consume('rotator', (job) => rotator.wake(job.effect))
    return rotator
  }

  #isFailing(node: string): boolean {
    const { now } = this.ground
    return this.scenario.failing.some((one) => one.node === node && one.from <= now && now < one.to)
  }

  #node(name: string, version: string): ServingNode {
    const { ground } = this
    const agent = new Process(ground, name)
    const keepers = new Map<string, Keeper>()
    const node = new ServingNode({ agent, ledger: this.ledger, fleets: this.fleets, keepers, version })
    const store = this.servers.get('vault')
    if (!(store instanceof KvServer)) throw new Error('nodes read from Vault')
    for (const { name: credential, plan, authority } of this.places.values())
      keepers.set(
        credential,
        new Keeper({
          credential,
          direction: plan.direction,
          agent,
          store,
          authority,
          isIdle: () => this.places.get(credential)?.isIdle ?? false,
          isFailing: () => this.#isFailing(name),
          onReached: ({ revision, accept }) =>
            this.onReached(
              node,
              credential,
              revision,
              accept.map((a) => a.generation),
            ),
        }),
      )
    return node
  }

  /** Tells what waits for a step that a rotation is there. */
  tellSteps(): void {
    if (!this.ground.isWaiting) return
    for (const credential of this.places.keys()) {
      const { rotation } = this.see(credential)
      if (rotation?.successor) this.ground.reached(credential, rotation.successor.step)
      for (const { step } of rotation?.retirements ?? [])
        if (step !== 'dead') this.ground.reached(credential, step)
    }
  }

  see(credential: string) {
    const row = this.ledger.tables.credentials.get(credential)
    const id = row?.openRotation
    return {
      rotation: id ? this.ledger.rotation(id) : undefined,
      current: row?.current ?? null,
      isPaused: (row?.paused?.until ?? 0) > this.ground.ledgerNow,
    }
  }

  async #order(order: Order): Promise<void> {
    const place = this.places.get(order.credential)
    if (!place) return
    if (order.kind === 'already-dead') {
      const { rotation, current } = this.see(order.credential)
      if (place.plan.direction === 'inbound' || rotation || current === null) return
      place.authority.revoke(current)
      this.onFoundDead(order.credential, current)
    }
    // Whoever hurries an offboarding cuts off who is left, on purpose.
    const isHurried = order.kind === 'expedite' || order.kind === 'contain'
    if (isHurried && this.see(order.credential).rotation?.goal === 'retire') place.isIdle = true
    await this.people.perform(order)
  }

  #strike(fault: Fault): void {
    const { nodes, fleets, conductors, intake, auditor, queue, people } = this
    const declareGone = (node: ServingNode) => people.declareGone(node)
    if (!strikes(fault, { nodes, fleets, conductors, intake, auditor, queue, declareGone })) return
    // The fleet and the queue say so themselves.
    if (fault.kind !== 'crash-fleet' && fault.kind !== 'redis-flush') this.ground.strike(fault.kind)
  }

  /** A fault of the simulation, or a broken promise, that was met inside of somebody's act. */
  fail(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  failWith(error: unknown): void {
    this.#failure ??= error
  }

  /** With nobody there who could refuse it, an inbound generation cannot be shown to be dead: it waits, and says so. */
  isAlone(credential: string): boolean {
    const { rotation } = this.see(credential)
    if (rotation?.plan.direction !== 'inbound' || this.nodes.some((n) => !n.hasLeft)) return false
    const stream = `rotation/${rotation.id}`
    return this.ledger.tables.journal.some((e) => e.stream === stream && e.type === 'HoldPlaced')
  }

  /** Nothing is left to happen. */
  get isDone(): boolean {
    return (
      this.ground.isHealed &&
      this.intake.isThrough &&
      [...this.places.keys()].every((c) => !this.see(c).rotation || this.isAlone(c))
    )
  }
}
