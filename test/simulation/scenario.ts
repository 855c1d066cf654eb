import type { EffectKind, Plan, Rule } from '@rekey/core'
import { ACT_POINTS, FAULT_KINDS, type Fault } from './faults.ts'
import { type Order, orders, pauses } from './orders.ts'
import { Random } from './random.ts'
import { when } from './when.ts'

/** One world, as a seed draws it. Everything in it can be left out one by one, to find what a failure needs. */
export type Scenario = {
  seed: number
  credentials: CredentialPlan[]
  nodes: { name: string; joinsAt: number; version: string }[]
  /** When gateways answer with errors, whoever asks with whatever. */
  failing: { node: string; from: number; to: number }[]
  /** Each reads one store of one credential. */
  clients: { credential: string; store: string }[]
  rotators: number
  conductors: number
  /** Change events on the bus; each names the workload, and its rule rotates these credentials. */
  events: ChangeEvent[]
  orders: Order[]
  faults: Fault[]
  /** From then on nothing new goes wrong, and what was broken is mended. */
  healsAt: number
  /** How slow everything is: requests and messages take so many times as long. */
  pace: number
}

export type CredentialPlan = {
  name: string
  plan: Plan
  /** It has a value when the world begins; else the first order makes one. */
  isAdopted: boolean
  /** Without a value: its first one is asked for with its configuration, or later by somebody. */
  startsAtOnce: boolean
  /** Outbound: whether the authority itself refuses what comes late, and what is one too many. */
  isFenced: boolean
  isLimited: boolean
  /** How long the authority still accepts what it revoked. */
  lagMs: number
}

export type ChangeEvent = {
  at: number
  id: string
  /** Each kind has a rule of its own; see RULES. */
  type: 'vendorchanged' | 'zonechanged' | 'datasetchanged'
  value: string
  /** How often it is produced, and how long apart. */
  copies: number
  apartMs: number
}

/** Which change rotates what; a change of the dataset has no rule. */
export function rulesOf(credentials: string[]): Rule[] {
  const rule = (change: 'vendorchanged' | 'zonechanged', rotate: string[]): Rule => ({
    name: `on-${change}`,
    when: { change: [change], workload: WORKLOAD },
    rotate,
  })
  return [rule('vendorchanged', credentials), rule('zonechanged', credentials.slice(-1))]
}

/** The same world with what a real ledger can be configured with in this release: inbound, and without a past. */
export function configurable(scenario: Scenario): Scenario {
  const credentials = scenario.credentials.map((credential) => ({
    ...credential,
    plan: {
      ...credential.plan,
      direction: 'inbound' as const,
      slots: 2 as const,
      soakMs: null,
      refusalLagMs: 0,
    },
    isAdopted: false,
    startsAtOnce: true,
  }))
  return { ...scenario, credentials }
}

export const WORKLOAD = 'chat'
const STORES = ['vault', 'aws', 'vault-b'] as const

export function draw(seed: number): Scenario {
  const random = new Random(seed).fork('scenario')
  const healsAt = random.between(15_000, 50_000)
  const credentials = Array.from({ length: random.pick([1, 1, 1, 2, 2, 3]) }, (_, i) => {
    const drawn = credential(random.fork(`credential ${i}`), `key-${i + 1}`)
    return { ...drawn, plan: { ...drawn.plan, ...care(random.fork(`care ${i}`), drawn.plan) } }
  })
  const nodeCount = random.pick([0, 1, 2, 2, 3, 3, 4, 5, 6])
  const nodes = Array.from({ length: nodeCount }, (_, i) => ({
    name: `n${i + 1}`,
    joinsAt: random.chance(0.75) ? 0 : random.between(1_000, healsAt),
    version: i % 3 === 1 ? 'green' : 'blue',
  }))
  const clients = credentials.flatMap(({ name, plan }) =>
    Array.from({ length: random.between(1, 3) }, () => ({
      credential: name,
      store: random.pick(plan.stores),
    })),
  )
  const about = { healsAt, credentials, nodes: nodes.map((n) => n.name) }
  const scenario: Scenario = {
    seed,
    credentials,
    nodes,
    clients,
    rotators: random.pick([1, 2, 2]),
    conductors: random.pick([1, 1, 2]),
    events: events(random.fork('events'), about),
    orders: [...orders(random.fork('orders'), about), ...pauses(random.fork('pauses'), about)],
    failing: failing(random.fork('failing'), about),
    faults: [],
    healsAt,
    pace: random.pick([1, 1, 3, 10]),
  }
  return { ...scenario, faults: faults(random.fork('faults'), scenario) }
}

function credential(random: Random, name: string): CredentialPlan {
  const direction = random.pick(['inbound', 'inbound', 'outbound'] as const)
  const order = random.chance(0.5) ? [...STORES] : (['aws', 'vault', 'vault-b'] as const)
  // Nodes read from the first Vault, so it is always there.
  const stores = random.pick([['vault'], order.slice(0, 2), order.slice(0, 2), [...order]])
  const readerCacheMs = random.between(300, 3_000)
  const slots = direction === 'outbound' && random.chance(0.2) ? 1 : 2
  const refusalLagMs = direction === 'outbound' ? random.pick([0, 0, 500, 2_000]) : 0
  const plan: Plan = {
    direction,
    slots,
    stores,
    waves: random.pick([['100%'], [1], [1, '50%'], [1, 2, '100%']]),
    windows: [],
    settleMs: random.between(0, 1_500),
    waveDeadlineMs: random.between(3_000, 12_000),
    // Longer than the pause between two requests of a client: what is slower than this looks like nobody.
    quietMs: random.between(1_000, 2_500),
    readerCacheMs,
    drainCapMs: random.between(6_000, 20_000),
    // An operator who cuts readers off before they can have let go has said so; that is no fault to find.
    expediteDrainMs: readerCacheMs + random.between(500, 1_500),
    evidenceMs: random.between(2_500, 6_000),
    soakMs: direction === 'outbound' && random.chance(0.6) ? random.between(200, 4_000) : null,
    refusalLagMs,
    overdueMs: random.between(20_000, 60_000),
  }
  return {
    name,
    plan,
    isAdopted: random.chance(0.8),
    startsAtOnce: random.chance(0.5),
    isFenced: random.chance(0.5),
    isLimited: random.chance(0.7),
    lagMs: refusalLagMs === 0 ? 0 : random.between(0, refusalLagMs),
  }
}

/** What a credential may ask of its routine rotations beyond that. */
function care(random: Random, { waves }: Plan): Partial<Plan> {
  return {
    waves: random.pick([waves, waves, [{ ofEach: 'version', nodes: 1 }], [1, { by: 'version' }]]),
    ...(random.chance(0.3) && { maxInFlight: random.between(1, 2) }),
    ...(random.chance(0.4) && {
      brake: {
        share: random.pick([0.05, 0.1, 0.5]),
        requests: random.between(1, 10),
        watchMs: random.pick([0, 0, 500, 3_000]),
        action: random.pick(['rollback', 'hold'] as const),
      },
    }),
  }
}

function failing(random: Random, { healsAt, nodes }: Drawn): Scenario['failing'] {
  if (nodes.length === 0) return []
  return Array.from({ length: random.pick([0, 0, 0, 1, 2, 3]) }, () => {
    const from = random.between(0, healsAt)
    return { node: random.pick(nodes), from, to: Math.min(healsAt, from + random.between(500, 15_000)) }
  })
}

type Drawn = { healsAt: number; credentials: CredentialPlan[]; nodes: string[] }

function events(random: Random, { healsAt }: Drawn): ChangeEvent[] {
  return Array.from({ length: random.pick([0, 0, 1, 1, 2, 4]) }, () => ({
    at: random.between(500, healsAt),
    // The same id with another content now and then: that is a conflict.
    id: `event-${random.between(1, 12)}`,
    type: random.pick(['vendorchanged', 'zonechanged', 'datasetchanged'] as const),
    value: random.pick(['a', 'b', 'c']),
    copies: random.pick([1, 1, 2, 3]),
    apartMs: random.between(1, 400),
  }))
}

const KINDS: EffectKind[] = [
  'stage',
  'promote',
  'restore',
  'restore',
  'withdraw',
  'destroy',
  'probe',
  'deliver',
]
const AUTHORITY_KINDS: EffectKind[] = [
  'install',
  'install',
  'suspend',
  'suspend',
  'reinstate',
  'reinstate',
  'revoke',
  'revoke',
  'revoke',
]

function faults(random: Random, scenario: Scenario): Fault[] {
  const count = random.pick([0, 1, 2, 3, 4, 6, 8, 12])
  const drawn = Array.from({ length: count }, (_, i) => fault(random.fork(`fault ${i}`), scenario))
  const isStaged = scenario.orders.some((o) => o.on === 'staging' && o.kind === 'contain')
  if (isStaged && random.chance(0.7)) {
    const ms = random.pick([300, 600, 900])
    drawn.push({ kind: 'pause', at: 0, ms, effect: 'install', point: 'sending', nth: random.pick([2, 3, 4]) })
  }
  // Whoever pulls the last brake must find it working, whatever happens to the worker just then.
  const isBraked = scenario.orders.some((o) => o.on === 'suspending' && o.kind === 'rollback')
  if (isBraked && random.chance(0.5)) {
    const kind = random.pick(['crash', 'pause', 'ambiguous', 'throttle', 'down'] as const)
    const ms = random.pick([300, 2_000, 6_000])
    const effect = random.pick(['suspend', 'reinstate'] as const)
    if (kind === 'crash' || kind === 'pause')
      drawn.push({ kind, at: 0, ms, effect, point: random.pick(ACT_POINTS), nth: 1 })
    else drawn.push({ kind, at: 0, on: 'suspending', plus: random.pick([0, 50]), ms, server: 'authority' })
  }
  return drawn.filter((f) => f !== undefined)
}

function fault(
  random: Random,
  { healsAt, nodes, credentials, rotators, conductors }: Scenario,
): Fault | undefined {
  const at = random.between(300, healsAt - 2_000)
  const left = healsAt - at
  const ms = Math.min(left, random.pick([200, 800, 2_500, 6_000, 15_000]))
  const time = when(random, at, healsAt)
  const node = nodes.length > 0 ? random.pick(nodes).name : undefined
  const servers = [...new Set(credentials.flatMap((c) => [...c.plan.stores, 'authority']))]
  const server = random.pick(servers)
  const kind = random.pick([...FAULT_KINDS, 'crash', 'crash', 'crash', 'pause', 'pause', 'pause'] as const)
  switch (kind) {
    case 'partition':
    case 'slow':
    case 'reorder':
    case 'double':
    case 'cut':
    case 'restart-agent':
    case 'reboot':
    case 'lose-node':
    case 'leave':
    case 'wipe':
      return node === undefined ? undefined : { kind, ...time, ms, node }
    case 'ambiguous':
    case 'throttle':
    case 'down':
      return { kind, ...time, ms, server }
    case 'stale-reads':
      return server === 'authority'
        ? undefined
        : { kind, ...time, ms, server, lagMs: random.between(50, 800) }
    case 'worker-clock':
      return { kind, at, ms: left, worker: random.between(0, rotators - 1), rate: random.pick([0.92, 1.1]) }
    case 'crash-fleet':
      return { kind, ...time, ms, fleet: random.between(0, 1) }
    case 'crash-conductor':
      return { kind, ...time, ms, conductor: random.between(0, conductors - 1) }
    case 'ledger-away':
    case 'ledger-ambiguous':
      return { kind, ...time, ms, worker: random.between(0, rotators - 1) }
    case 'clock-jump':
      return { kind, ...time, ms: random.pick([500, 3_000, 20_000]) }
    case 'crash':
    case 'pause': {
      const isOutbound = credentials.some((c) => c.plan.direction === 'outbound')
      const effect = random.pick(isOutbound ? [...KINDS, ...AUTHORITY_KINDS] : KINDS)
      const point = random.pick(ACT_POINTS)
      return {
        kind,
        at: random.between(0, at),
        ms: random.pick([300, 2_000, 6_000]),
        effect,
        point,
        nth: random.pick([1, 1, 2, 3]),
      }
    }
    default:
      return { kind, ...time, ms }
  }
}
