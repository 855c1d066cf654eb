import { withToken } from '@rekey/backend-vault'
import { type Ack, proofPublicKey, Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FakeAgent, stateOf } from '../test/fake-agent.ts'
import { FakeLedger } from '../test/fake-ledger.ts'
import { type Issued, nodeNames, type TestAuthority } from '../test/test-authority.ts'
import { until } from '../test/until.ts'
import { Fleet } from './fleet.ts'
import type { Log } from './log.ts'

const value = (generation: number) => Secret.of(`value-${generation}-of-chat`)
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

let authority: TestAuthority
let server: { key: string; cert: string }
let ledger: FakeLedger
let fleet: Fleet
let port: number
let agents: FakeAgent[]
const identities = new Map<string, Issued>()

beforeAll(async () => {
  authority = await certificateAuthority()
  server = await authority.issue([{ type: 'dns', value: 'localhost' }])
})

beforeEach(async () => {
  agents = []
  ledger = new FakeLedger()
  ledger.keys.set('chat', new Map([1, 2].map((g) => [g, proofPublicKey(value(g), 'chat', g)])))
  ledger.states.set('gw-1', [stateOf(1, [1])])
  await startFleet()
})

async function startFleet(readingMax = 500): Promise<void> {
  fleet = new Fleet({
    instance: 'test',
    host: '127.0.0.1',
    port: 0,
    enrolPort: 0,
    heartbeatMs: 200,
    reconcileMs: 100,
    readingMax,
    tls: { ...server, ca: authority.ca },
    ledger,
    vault: withToken({ addr: 'http://127.0.0.1:1', token: Secret.of('none') }),
    log: silent,
  })
  ;({ port } = await fleet.start())
}

afterEach(async () => {
  for (const agent of agents) agent.close()
  await fleet.stop()
})

async function connect(node = 'gw-1', answersPings = true): Promise<FakeAgent> {
  const identity = identities.get(node) ?? (await authority.issue(nodeNames(node)))
  identities.set(node, identity)
  const agent = new FakeAgent(port, node, identity, authority.ca, answersPings)
  agents.push(agent)
  return agent
}

async function connected(node = 'gw-1'): Promise<FakeAgent> {
  const agent = await connect(node)
  await agent.hello()
  return agent
}

const counted = (name: Parameters<Fleet['counters']['get']>[0], n = 1) =>
  until(`${name} ${n}`, () => fleet.counters.get(name) >= n, 3_000)

describe('a session', () => {
  test('begins with everything that the node shall hold, and a proved ack reaches the ledger', async () => {
    const agent = await connected()
    const desired = await agent.desired(1)
    agent.say(agent.ack(desired, value))
    await until('the ack', () => ledger.acks.length === 1)
    expect(ledger.acks).toEqual([
      { node: 'gw-1', session: agent.session, credential: 'chat', revision: 1, proved: [1], refusals: [] },
    ])
  })

  test('gets a newer state by a job, and by the reconciliation where the job was lost', async () => {
    const agent = await connected()
    ledger.states.set('gw-1', [stateOf(2, [1, 2])])
    await fleet.delivery.deliver({ effect: 'e', nodes: ['gw-1', 'elsewhere'] })
    await agent.desired(2)
    ledger.states.set('gw-1', [stateOf(3, [2])])
    await agent.desired(3)
    ledger.states.set('gw-1', [stateOf(2, [1, 2])])
    await fleet.delivery.deliver({ effect: 'e' })
    const revisions = agent.messages.flatMap((m) => (m.type === 'desired' ? [m.state.revision] : []))
    expect(revisions).toEqual([1, 2, 3])
  })

  test('of an agent that buries is told which generations are dead, when it begins and when one dies', async () => {
    ledger.states.set('gw-1', [{ ...stateOf(1, [3]), dead: [1] }])
    const agent = await connect()
    await agent.hello([{ credential: 'chat', kind: 'haproxy', disruption: 'A', buries: true }])
    await until('told of the first', () => agent.dead.length === 1)
    ledger.states.set('gw-1', [{ ...stateOf(1, [3]), dead: [2, 1] }])
    await until('told of the second', () => agent.dead.length === 2)
    expect(agent.dead).toEqual([[1], [2, 1]])
    // Its orders are as before: no new one, and nothing in it that an agent of the release before would not know.
    const orders = agent.messages.flatMap((m) => (m.type === 'desired' ? [m.state] : []))
    expect(orders).toEqual([stateOf(1, [3])])
  })

  test('of an agent of the release before is told nothing that it would not understand', async () => {
    ledger.states.set('gw-1', [{ ...stateOf(1, [3]), dead: [1] }])
    const agent = await connected()
    await agent.desired(1)
    ledger.states.set('gw-1', [{ ...stateOf(2, [3]), dead: [2, 1] }])
    await agent.desired(2)
    expect(agent.dead).toEqual([])
  })

  test.each([
    ['with what it knows', { boot: 'b', agentVersion: '9', adapters: [], protocol: 2 }],
    ['in a way that cannot be read', { protocol: 2, whoami: {} }],
  ])('of an agent that speaks another protocol is refused by name: a greeting %s', async (_what, hello) => {
    const agent = await connect()
    await until('open', () => agent.socket.readyState === agent.socket.OPEN)
    agent.say({ type: 'hello', ...hello })
    await until('closed', () => agent.closeCode === 4005)
    expect(agent.closeReason).toBe('the agent speaks protocol 2, this fleet 1')
    expect(fleet.counters.get('wrong_protocol')).toBe(1)
    expect(agent.messages).toEqual([])
  })

  test('of an agent that names our protocol, and more than we know, is as any other', async () => {
    const agent = await connect()
    await until('open', () => agent.socket.readyState === agent.socket.OPEN)
    const hello = { type: 'hello', boot: 'boot-1', agentVersion: '9', adapters: [] }
    agent.say({ ...hello, protocol: 1, invented: true })
    agent.say(agent.ack(await agent.desired(1), value))
    await until('the ack', () => ledger.acks.length === 1)
  })

  test('hands on who used a key apart from the counters, which are waited for', async () => {
    const agent = await connected()
    await agent.desired(1)
    const use = { generation: 1, address: '10.0.0.7', requests: 3, lastUseAgeMs: 5 }
    const usage = { type: 'usage', credential: 'chat', session: agent.session, generations: [] }
    agent.say({ ...usage, clients: [use], graveyard: { watched: [], knocks: [] } })
    agent.say(usage)
    await until(
      'written',
      () => ledger.used.length === 1 && ledger.knocked.length === 1 && ledger.reports.length > 0,
    )
    expect(ledger.used[0]).toMatchObject({ node: 'gw-1', clients: [use] })
    expect(ledger.reports[0]).not.toHaveProperty('clients')
  })

  test('of more nodes than may read at once waits for its turn, but not to refuse a value', async () => {
    await fleet.stop()
    await startFleet(2)
    const nodes: FakeAgent[] = []
    for (const node of ['gw-1', 'gw-2', 'gw-3', 'gw-4']) {
      ledger.states.set(node, [stateOf(1, [1])])
      const agent = await connected(node)
      nodes.push(agent)
      agent.say(agent.ack(await agent.desired(1), value))
    }
    await until('all hold the first one', () => ledger.acks.length === 4)
    for (const { node } of nodes) ledger.states.set(node, [stateOf(2, [1, 2])])
    await fleet.delivery.deliver({ effect: 'widen' })
    const told = (revision: number) =>
      nodes.filter((a) => a.messages.some((m) => m.type === 'desired' && m.state.revision === revision))
    await until('two are told', () => told(2).length === 2)
    const [first, second] = told(2)
    // Those that wait may speak of what they hold meanwhile.
    const waiting = nodes.find((agent) => agent !== first && agent !== second)
    const generations = [{ generation: 1, inFlight: 0, lastUseAgeMs: null, requests: 0 }]
    waiting?.say({ type: 'usage', credential: 'chat', session: waiting.session, generations })
    await until('the usage', () => ledger.reports.length === 1)
    expect(told(2)).toHaveLength(2)

    first?.say(first.ack(await first.desired(2), value))
    await until('a third one is told', () => told(2).length === 3)
    second?.close()
    await until('all are told', () => told(2).length === 4)

    for (const { node } of nodes) ledger.states.set(node, [{ ...stateOf(3, [2]), refuse: [1] }])
    await fleet.delivery.deliver({ effect: 'narrow' })
    await until('all that are there are told', () => told(3).length === 3)
  })

  test('of a node that the ledger does not know is refused', async () => {
    const agent = await connect('stranger')
    agent.hello().catch(() => {})
    await until('closed', () => agent.closeCode === 1008)
  })

  test('is closed when a newer one of the same node opens', async () => {
    const first = await connected()
    const second = await connected()
    await until('the first is closed', () => first.closeCode === 4001)
    expect(second.session).toBeGreaterThan(first.session)
    expect(fleet.sessions.get('gw-1')?.session).toBe(second.session)
    await until('told to the ledger', () => ledger.closed.includes(`gw-1 ${first.session}`))
  })

  test('of a node that does not answer pings is cut off, and others are heard of', async () => {
    ledger.states.set('gw-2', [])
    const dead = await connect('gw-1', false)
    await dead.hello()
    await connected('gw-2')
    await counted('silent')
    await until('gw-2 is heard of', () => ledger.heardOf.includes('gw-2'))
    await until('gw-1 is gone', () => fleet.sessions.get('gw-1') === undefined)
  })

  test('whose acks cannot be written ends, so that the node proves again', async () => {
    const agent = await connected()
    const desired = await agent.desired(1)
    ledger.failing = true
    agent.say(agent.ack(desired, value))
    await until('cut off', () => agent.closeCode !== undefined, 5_000)
    expect(fleet.counters.get('lost_writes')).toBe(1)
  })

  test('many acks at once are few writes', async () => {
    const nodes = Array.from({ length: 12 }, (_, n) => `gw-${n + 100}`)
    for (const node of nodes) ledger.states.set(node, [stateOf(1, [1])])
    const crowd = await Promise.all(nodes.map((node) => connected(node)))
    const orders = await Promise.all(crowd.map((agent) => agent.desired(1)))
    crowd.forEach((agent, at) => {
      const order = orders[at]
      if (order) agent.say(agent.ack(order, value))
    })
    await until('all acks', () => ledger.acks.length === 12)
    expect(ledger.ackWrites).toBeLessThan(12)
  })
})

describe('a lie', () => {
  async function lie(change: (ack: Ack, agent: FakeAgent) => unknown): Promise<FakeAgent> {
    const agent = await connected()
    const desired = await agent.desired(1)
    agent.say(change(agent.ack(desired, value), agent))
    return agent
  }

  test('a proof by another value is refused, and told to the ledger as a nack', async () => {
    const agent = await connected()
    const desired = await agent.desired(1)
    agent.say(agent.ack(desired, () => Secret.of('guessed')))
    await counted('bad_proof')
    await until('the nack', () => ledger.nacks.length === 1)
    expect(ledger.nacks[0]).toMatchObject({ node: 'gw-1', reason: 'value_refused', generation: 1 })
    expect(ledger.acks).toEqual([])
  })

  test('another session in an ack is refused', async () => {
    await lie((ack) => ({ ...ack, session: ack.session + 1 }))
    await counted('wrong_session')
    expect(ledger.acks).toEqual([])
  })

  test('a proof of another node is refused', async () => {
    ledger.states.set('gw-2', [stateOf(1, [1])])
    const honest = await connected('gw-2')
    const order = await honest.desired(1)
    const agent = await connected()
    const own = await agent.desired(1)
    // Session and nonce put right, the signature copied.
    agent.say({ ...honest.ack(order, value), session: agent.session, nonce: own.nonce })
    await counted('bad_proof')
  })

  test('a nonce of its own is refused', async () => {
    await lie((ack) => ({ ...ack, nonce: 'made-up' }))
    await counted('unknown_nonce')
  })

  test('an ack said twice counts once', async () => {
    const agent = await lie((ack) => ack)
    await until('the ack', () => ledger.acks.length === 1)
    agent.say(agent.ack(await agent.desired(1), value))
    await counted('replayed_nonce')
    expect(ledger.acks).toHaveLength(1)
  })

  test('an ack replayed into the next session counts nothing', async () => {
    const first = await connected()
    const old = first.ack(await first.desired(1), value)
    const second = await connected()
    await second.desired(1)
    second.say(old)
    second.say({ ...old, session: second.session })
    await counted('wrong_session')
    await counted('unknown_nonce')
    expect(ledger.acks).toEqual([])
  })

  test('an ack without a proof for each generation is refused', async () => {
    await lie((ack) => ({ ...ack, proofs: [] }))
    await counted('incomplete_proofs')
  })

  test('a value that was not tried on the real path is not proved', async () => {
    await lie((ack) => ({ ...ack, proofs: ack.proofs.map((p) => ({ ...p, tried: 'unknown' })) }))
    await counted('untried')
    await until('the nack', () => ledger.nacks.length === 1)
    expect(ledger.acks).toEqual([])
  })

  test('a late ack of an older order is dropped without an alarm', async () => {
    const agent = await connected()
    const old = agent.ack(await agent.desired(1), value)
    ledger.states.set('gw-1', [stateOf(2, [1, 2])])
    await agent.desired(2)
    agent.say(old)
    await counted('acks_stale')
    expect(ledger.acks).toEqual([])
  })

  test('after a nack the same order may be acked again', async () => {
    const agent = await lie((ack) => ack)
    await until('the ack', () => ledger.acks.length === 1)
    const { session } = agent
    const detail = 'gateway down'
    agent.say({
      type: 'nack',
      credential: 'chat',
      revision: 1,
      session,
      generation: null,
      reason: 'adapter_failed',
      detail,
    })
    await until('the nack', () => ledger.nacks.length === 1)
    agent.say(agent.ack(await agent.desired(1), value))
    await until('the second ack', () => ledger.acks.length === 2)
  })

  test('usage of a credential that the node was never told to hold is refused', async () => {
    const agent = await connected()
    const generations = [{ generation: 1, inFlight: 0, lastUseAgeMs: null, requests: 0 }]
    agent.say({ type: 'usage', credential: 'chat', session: agent.session, generations })
    agent.say({ type: 'usage', credential: 'other', session: agent.session, generations })
    await counted('unknown_nonce')
    await until('the usage', () => ledger.reports.length === 1)
    expect(ledger.reports[0]).toMatchObject({ node: 'gw-1', credential: 'chat' })
  })
})

describe('hostile input', () => {
  test.each([
    ['text that is not JSON', '{'],
    ['an unknown type', '{"type":"give"}'],
    ['a second hello', '{"type":"hello","boot":"b","agentVersion":"0","adapters":[]}'],
  ])('%s ends the connection', async (_what, text) => {
    const agent = await connected()
    agent.say(text)
    await until('closed', () => agent.closeCode === 1002)
    await counted('malformed')
  })

  test('a message before hello ends the connection', async () => {
    const agent = await connect()
    await until('open', () => agent.socket.readyState === 1)
    agent.say({ type: 'usage', credential: 'chat', session: 1, generations: [] })
    await until('closed', () => agent.closeCode === 1002)
  })

  test('binary and oversized frames end the connection', async () => {
    const binary = await connected()
    binary.socket.send(Buffer.from('{}'))
    await until('closed', () => binary.closeCode === 1002)
    const large = await connected()
    large.say('x'.repeat(65 * 1024))
    await until('closed', () => large.closeCode === 1009)
  })

  test('a flood ends the connection', async () => {
    const agent = await connected()
    for (let n = 0; n < 1_200; n += 1)
      agent.say({ type: 'usage', credential: 'chat', session: 1, generations: [] })
    await until('closed', () => agent.closeCode === 1008)
  })

  test.each([
    ['another trust domain', [{ type: 'url', value: 'spiffe://evil.example/node/gw-1' }]],
    ['a path that only begins well', [{ type: 'url', value: 'spiffe://rekey.local/node/gw-1/admin' }]],
    ['two names', [...nodeNames('gw-1'), ...nodeNames('gw-2')]],
    ['a server', [{ type: 'dns', value: 'localhost' }]],
  ] as const)('a certificate for %s is refused before a session', async (_what, names) => {
    const agent = new FakeAgent(port, 'gw-1', await authority.issue([...names]), authority.ca)
    agents.push(agent)
    await until('refused', () => agent.failure?.includes('403'))
    expect(fleet.counters.get('wrong_peer')).toBe(1)
  })

  test('a certificate of another authority does not get through the handshake', async () => {
    const other = await certificateAuthority()
    const agent = new FakeAgent(port, 'gw-1', await other.issue(nodeNames('gw-1')), authority.ca)
    agents.push(agent)
    await until('refused', () => agent.failure)
    expect(fleet.counters.get('sessions_opened')).toBe(0)
  })
})
