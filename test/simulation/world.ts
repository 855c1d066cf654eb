import { secretsManagerStore } from '@rekey/backend-aws'
import { vaultKvStore } from '@rekey/backend-vault'
import { Secret, type Store } from '@rekey/contracts'
import type { Asked } from '@rekey/core'
import { memoryLedger } from '@rekey/testing/ledger'
import { AuditWriter } from './audit-writer.ts'
import { Client } from './client.ts'
import { Conductor } from './conductor.ts'
import { nodesAuthority } from './endpoints.ts'
import type { Fault } from './faults.ts'
import { Fleet } from './fleet.ts'
import { Ground } from './ground.ts'
import { Intake } from './intake.ts'
import { Keeper } from './keeper.ts'
import { type Call, watched } from './ledger.ts'
import { ServingNode } from './node.ts'
import { People } from './people.ts'
import { Process } from './process.ts'
import { JobQueue } from './queue.ts'
import { type Leased, Rotator } from './rotator.ts'
import type { Hands } from './rotator-code.ts'
import { type CredentialPlan, type Order, rulesOf, type Scenario, WORKLOAD } from './scenario.ts'
import { AuthorityServer } from './servers/authority-server.ts'
import { KvServer } from './servers/kv-server.ts'
import { SecretsServer } from './servers/secrets-server.ts'
import { type AnyWay, type OnWrite, Way } from './servers/way.ts'

export type WorldOptions = {
  /** Keeps all that happened, not only the last of it. */
  keepAll?: boolean
  /** Hears of each call to the ledger, at its clock's time. */
  onCall?: (call: Call, at: number) => void
}

/** One credential as the world has it: what verifies it, who consumes it. */
export type Place = CredentialPlan & {
  authority: AuthorityServer
  isBalanced: boolean
  /** Its consumers are gone: nobody presents it any more. */
  isIdle: boolean
  /** How often an offboarding was ordered. */
  retirements: number
}

/** The whole of it: Rekey's processes, servers, nodes, clients and people, on one ground. */
export class World {
  readonly scenario: Scenario
  readonly ground: Ground
  readonly ledger: ReturnType<typeof memoryLedger>
  readonly places: Map<string, Place>
  readonly servers: Map<string, KvServer | SecretsServer>
  readonly nodes: ServingNode[]
  readonly fleets: Fleet[]
  readonly clients: Client[]
  readonly intake: Intake
  readonly auditor: AuditWriter
  readonly rotators: Rotator[]
  readonly conductors: Conductor[]
  readonly queue: JobQueue
  readonly people: People
  /** Set by the inspector. */
  onWrite: OnWrite = () => undefined
  onReached: (node: ServingNode, credential: string, revision: number, accept: number[]) => void = () =>
    undefined
  onOutcome: (leased: Leased) => (recorded: 'recorded' | 'late') => void = () => () => undefined
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
    this.servers = new Map<string, KvServer | SecretsServer>([
      ['vault', new KvServer(ground, 'vault')],
      ['aws', new SecretsServer(ground, 'aws')],
      ['vault-b', new KvServer(ground, 'vault-b')],
    ])
    this.places = new Map(
      scenario.credentials.map((plan) => {
        const { slots } = plan.plan
        const authority = new AuthorityServer(ground, { ...plan, slots })
        const isBalanced = ground.random.chance(0.5)
        return [plan.name, { ...plan, authority, isBalanced, isIdle: false, retirements: 0 }]
      }),
    )
    this.queue = new JobQueue(ground)
    this.fleets = ['a', 'b'].map((name) => new Fleet(new Process(ground, name), ledger, this.queue))
    this.nodes = scenario.nodes.map(({ name }) => this.#node(name))
    this.rotators = Array.from({ length: scenario.rotators }, (_, index) => this.#rotator(index))
    this.conductors = Array.from(
      { length: scenario.conductors },
      (_, i) => new Conductor(new Process(ground, `conductor-${i + 1}`), ledger, this.queue),
    )
    this.intake = new Intake(new Process(ground, 'intake'), ledger)
    this.auditor = new AuditWriter(new Process(ground, 'auditor'), ledger)
    this.people = new People({
      ground,
      ledger,
      nodes: this.nodes,
      credentials: [...this.places.keys()],
      see: (credential) => this.see(credential),
      isAlone: (credential) => this.isAlone(credential),
      onRetired: (credential, isRetired) => this.#retire(credential, isRetired),
    })
    this.clients = []
    ledger.onEffects(() => {
      for (const conductor of this.conductors) conductor.wake(ground.random.between(1, 8))
      this.auditor.wake()
    })
    ground.onBegin = (fault) => this.#strike(fault)
  }

  /** The world before anything happens: what is configured, and what is in use already. */
  async begin(): Promise<void> {
    const { ledger, scenario, ground } = this
    ledger.addWorkload({ name: WORKLOAD, environment: 'prod', vendor: 'a', zone: 'a', dataset: 'a' })
    const names = [...this.places.keys()]
    const rules = rulesOf(names)
    for (const rule of rules) ledger.addRule(rule)
    for (const place of this.places.values()) await this.#configure(place)
    for (const { name, isAdopted, startsAtOnce } of this.places.values())
      if (!isAdopted && startsAtOnce) await ledger.start(name, FIRST_VALUE)
    const documents = [
      { kind: 'Workload', name: WORKLOAD },
      ...names.map((name) => ({ kind: 'Credential', name })),
      ...rules.map(({ name }) => ({ kind: 'Rule', name })),
    ]
    ledger.journalConfigured(documents, 'anna')
    for (const [i, { credential, store }] of scenario.clients.entries()) {
      const place = this.places.get(credential)
      const server = this.servers.get(store)
      if (!place || !server) continue
      const about = { name: `client-${i + 1}`, credential, server, cacheMs: place.plan.readerCacheMs }
      this.clients.push(new Client(ground, about))
      if (place.plan.direction === 'inbound') this.#traffic(this.clients.length - 1)
    }
    for (const [i, { joinsAt }] of scenario.nodes.entries())
      ground.agenda.at(joinsAt, () => this.nodes[i]?.join())
    for (const order of scenario.orders) ground.plan(order, () => this.#order(order), order.credential)
    for (const event of scenario.events)
      for (let copy = 0; copy < event.copies; copy++)
        ground.agenda.at(event.at + copy * event.apartMs, () => this.intake.produce(event))
  }

  async #configure({ name, plan, isAdopted, authority }: Place): Promise<void> {
    if (!isAdopted) {
      this.ledger.addCredential({ name, workload: WORKLOAD, plan })
      return
    }
    const value = { generation: 1, keyId: `${name}.g1`, value: Secret.of(this.#make(name)) }
    const call = { key: 'adopted', signal: new AbortController().signal }
    const shown: Record<string, string> = {}
    for (const storeName of plan.stores) {
      const store = this.#store(storeName, name, DIRECT)
      await store.stage(value, call)
      shown[storeName] = await store.promote(1, undefined, call)
    }
    authority.install(value)
    this.ledger.addCredential({ name, workload: WORKLOAD, plan, adopted: { generation: 1, shown } })
  }

  #make(credential: string): string {
    return `${credential} value ${++this.#made}`
  }

  #store(name: string, credential: string, way: AnyWay): Store {
    const server = this.servers.get(name)
    if (!server) throw new Error(`no server named ${name}`)
    return server instanceof KvServer
      ? vaultKvStore(server.client(way), { mount: 'secret', path: credential })
      : secretsManagerStore(server.client(way), { secretId: credential })
  }

  #rotator(index: number): Rotator {
    const { ground, ledger } = this
    const rotator: Rotator = new Rotator({
      process: new Process(ground, `rotator-${index + 1}`),
      index,
      ledger,
      hands: (leased, process) => this.#hands(leased, process),
      onOutcome: (leased) => this.onOutcome(leased),
    })
    this.queue.consume('rotator', (job) => rotator.wake(job.effect))
    return rotator
  }

  /** What an act works with: the real stores' code, over servers of this world. */
  #hands({ effect, rotation: { credential } }: Leased, process: Process): Hands {
    const place = this.places.get(credential)
    if (!place) throw new Error(`no place for ${credential}`)
    const { plan } = place
    const onWrite: OnWrite = (key, what) => this.onWrite(key, what)
    const way = (server: string, isFenced: boolean) =>
      new Way(process, { server, effect: effect.kind, onWrite, isFenced })
    const stores = plan.stores.map((name) => ({
      name,
      store: this.#store(name, credential, way(name, true)),
    }))
    const proberStores = stores.filter(({ name }) => name !== 'aws')
    const make = () => this.#make(credential)
    // No authority can tell a late one of these from a new one, so none is sent after its deadline.
    const isReversible = effect.kind === 'suspend' || effect.kind === 'reinstate'
    const { nodes } = this
    const authority =
      plan.direction === 'outbound'
        ? place.authority.client(way('authority', place.isFenced && !isReversible), make)
        : nodesAuthority(way('endpoints', true), {
            credential,
            nodes,
            isBalanced: place.isBalanced,
            pick: (from) => this.ground.random.pick(from),
            make,
          })
    return { stores, proberStores, authority }
  }

  #node(name: string): ServingNode {
    const { ground } = this
    const agent = new Process(ground, name)
    const keepers = new Map<string, Keeper>()
    const node = new ServingNode({ agent, ledger: this.ledger, fleets: this.fleets, keepers })
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
    return { rotation: id ? this.ledger.rotation(id) : undefined, current: row?.current ?? null }
  }

  #retire(credential: string, isRetired: boolean): void {
    const place = this.places.get(credential)
    if (!place) return
    // Outbound nobody reports what readers do, so they are gone before anybody says so.
    const isSeen = place.plan.direction === 'inbound'
    place.retirements += isRetired ? 1 : 0
    if (!isRetired) this.#comeBack(place, place.retirements)
    else if (!isSeen) place.isIdle = true
    else
      this.ground.after(this.ground.random.between(0, 4_000), () => {
        place.isIdle = true
      })
  }

  /** Consumers use it again once the offboarding is called off in full, unless it was ordered again meanwhile. */
  #comeBack(place: Place, called: number): void {
    this.ground.after(200, () => {
      if (place.retirements !== called) return
      if (this.see(place.name).rotation) this.#comeBack(place, called)
      else place.isIdle = false
    })
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

  /** The authority ended a generation by itself. */
  onFoundDead: (credential: string, generation: number) => void = () => undefined

  /** A client's requests, to whichever node is up. */
  #traffic(index: number): void {
    const { random } = this.ground
    const client = this.clients[index]
    if (!client) return
    this.ground.after(random.between(300, 900), () => {
      this.#traffic(index)
      const presents = this.places.get(client.credential)?.isIdle ? undefined : client.presents
      const serving = this.nodes.filter((n) => !n.isDown && n.keepers.get(client.credential)?.gateway)
      if (!presents || serving.length === 0) return
      const keeper = random.pick(serving).keepers.get(client.credential)
      if (keeper?.gateway?.get(presents.generation) === presents.text)
        keeper.serve(presents.generation, random.between(5, 400))
    })
  }

  /** Faults that are an event of their own. */
  #strike(fault: Fault): void {
    if (!this.#happens(fault)) return
    // The fleet and the queue say so themselves.
    if (fault.kind !== 'crash-fleet' && fault.kind !== 'redis-flush') this.ground.strike(fault.kind)
  }

  /** False: it is no such fault, or there was nobody to be met by it. */
  #happens(fault: Fault): boolean {
    const node = 'node' in fault ? this.nodes.find((n) => n.name === fault.node) : undefined
    switch (fault.kind) {
      case 'restart-agent':
        node?.restart(Math.min(fault.ms, 2_500))
        return true
      case 'reboot':
      case 'wipe':
        node?.powerOff(Math.min(fault.ms, 4_000), fault.kind === 'wipe')
        return true
      case 'lose-node':
        node?.powerOff(fault.ms)
        return true
      case 'leave':
        if (!node || node.isDown) return false
        node.powerOff('for good')
        this.people.declareGone(node)
        return true
      case 'crash-fleet':
        this.fleets[fault.fleet]?.kill(Math.min(fault.ms, 3_000))
        return true
      case 'crash-conductor':
        this.conductors[fault.conductor]?.process.kill(fault.ms)
        return true
      case 'crash-intake':
        this.intake.process.kill(Math.min(fault.ms, 3_000))
        return true
      case 'crash-auditor':
        this.auditor.process.kill(fault.ms)
        return true
      case 'redis-flush':
        this.queue.flush()
        return true
      case 'kafka-reset':
        this.intake.reset()
        return true
      default:
        return false
    }
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

/** As a new credential that is applied asks for it. */
const FIRST_VALUE: Asked = {
  cause: { kind: 'first-value', actor: 'anna', reason: 'the credential is new' },
  mode: 'rotate',
  goal: 'replace',
  compromised: [],
}

/** For what was there before the world began: without time, and without faults. */
const DIRECT: AnyWay = {
  read: async (_bound, answer) => answer(),
  write: async (_bound, _what, change) => change(),
}
