import { webcrypto, X509Certificate } from 'node:crypto'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { bundleText, Secret } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askStatus } from '../src/status-socket.ts'
import { startClients } from './clients.ts'
import { type Envoy, SERVER_NAME, startEnvoy } from './envoy.ts'
import { sampleValue, startNodeAt } from './node-bench.ts'
import type { ServiceProcess } from './process.ts'
import { until } from './until.ts'

type Node = Awaited<ReturnType<typeof startNodeAt<Envoy>>>

const nackOf = (node: Node, revision: number) =>
  until('the nack', () => {
    const nack = node.fleet.messages.find((m) => m.type === 'nack' && m.revision === revision)
    return nack?.type === 'nack' && nack
  })

/** Everything that an agent has written or said, in all its lives. */
function record(node: Node) {
  const lives: ServiceProcess[] = []
  return {
    start: () => lives.push(node.start()),
    async said(): Promise<string> {
      const journal = await readFile(join(node.dir, 'state', 'journal-chat.json'), 'utf8')
      return [...lives.flatMap(({ lines }) => lines), JSON.stringify(node.fleet.messages), journal].join('\n')
    },
  }
}

/** A provider that knows which keys live, and what clients asked with: who sent it, after which change was acked. */
function startProvider() {
  const dead = new Set<number>()
  /** By client, the change that it knew of when it asked last. */
  const asked = new Map<string, number>()
  const seen: { asked: number; presented: number }[] = []
  const paths = new Set<string>()
  return {
    dead,
    asked,
    seen,
    paths,
    letsIn({ headers, url = '' }: IncomingMessage): boolean {
      paths.add(url)
      const found = /^Bearer value-of-generation-(\d+)-x{20}$/.exec(headers.authorization ?? '')
      const presented = Number(found?.[1])
      const client = headers['x-client']?.toString()
      if (client !== undefined) {
        asked.set(client, Number(headers['x-asked-after']))
        seen.push({ asked: Number(headers['x-asked-after']), presented })
      }
      return found !== null && !dead.has(presented)
    },
  }
}

/** In order: each test goes on where the one before it ended. */
describe('a key that Envoy presents', () => {
  const provider = startProvider()
  let node: Node
  let agent: ReturnType<typeof record>
  beforeAll(async () => {
    node = await startNodeAt(await startEnvoy(provider.letsIn))
    agent = record(node)
    agent.start()
  })
  afterAll(() => node?.stop())

  const file = () => node.gateway.fileOf('generic')
  const presented = async () => {
    const response = await fetch(node.gateway.url)
    if (response.status !== 200) return response.status
    const { headers } = (await response.json()) as { headers: Record<string, string> }
    return headers.authorization
  }
  const bearer = (generation: number) => `Bearer ${sampleValue(generation).reveal()}`

  test('before there is one, nothing is sent on', async () => {
    expect(await presented()).toBe(401)
    await node.acked(node.order([]))
    expect(await presented()).toBe(401)
    await node.acked(node.order([1]))
    expect(await presented()).toBe(bearer(1))
  })

  test('changes ten times under 16 keep-alive clients: no request fails, and after an ack none goes out with the old one', async () => {
    let acked = 1
    const clients = startClients({
      url: node.gateway.url,
      count: 16,
      // Of its own, which must not reach the provider.
      key: () => 'the-clients-own',
      headers: (client) => ({ 'x-client': client, 'x-asked-after': acked }),
    })
    for (let generation = 2; generation <= 11; generation += 1) {
      await node.acked(node.order([generation], { floor: generation - 1 }))
      acked = generation
      // What was on its way with the old one has been answered.
      await until('all ask after it', () =>
        [...provider.asked.values()].every((after) => after === generation),
      )
      provider.dead.add(generation - 1)
      const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
      expect(ack.refusals).toEqual([{ generation: generation - 1, tried: 'refused' }])
    }
    const { failed, requests, statuses } = await clients.stop()
    expect({ failed, statuses: [...statuses.keys()] }).toEqual({ failed: 0, statuses: [200] })
    expect(requests).toBeGreaterThan(500)
    expect(provider.asked.size).toBe(16)
    expect(provider.seen).toHaveLength(requests)
    const wrong = provider.seen.filter(
      (one) => one.presented !== one.asked && one.presented !== one.asked + 1,
    )
    expect(wrong).toEqual([])
    const early = provider.seen.filter((one) => one.presented > one.asked).length
    process.stderr.write(
      `envoy: ${requests} requests, ${failed} failed, ${early} with a key before its ack\n`,
    )
  })

  test('a long request and a stream survive the change of their key', async () => {
    const slow = fetch(`${node.gateway.url}/slow?ms=1500`)
    const stream = fetch(`${node.gateway.url}/stream?n=15`)
    await until(
      'on their way',
      () => provider.paths.has('/slow?ms=1500') && provider.paths.has('/stream?n=15'),
    )
    await node.acked(node.order([12], { floor: 11 }))
    expect(await presented()).toBe(bearer(12))
    const response = await slow
    const { headers } = (await response.json()) as { headers: Record<string, string> }
    expect(headers.authorization).toBe(bearer(11))
    expect(await (await stream).text()).toMatch(/^data: 1\n\n(.*\n\n){13}data: 15\n\ndata: \[DONE\]\n\n$/)
  })

  test('is there again after a restart of Envoy, be the agent away', async () => {
    await node.kill()
    await node.gateway.restart()
    expect(await presented()).toBe(bearer(12))
    const { ino } = await stat(file())
    agent.start()
    await node.ready()
    // What is as it should be is not written again.
    expect((await stat(file())).ino).toBe(ino)
  })

  test('is finished by an agent that was killed after it wrote, before Envoy took it up', async () => {
    node.gateway.signal('SIGSTOP')
    const revision = node.order([13], { floor: 12 })
    await until('written', async () => (await readFile(file(), 'utf8')).includes('"chat.g13"'))
    const { ino } = await stat(file())
    await node.kill()
    node.gateway.signal('SIGCONT')
    agent.start()
    await node.acked(revision)
    expect(await presented()).toBe(bearer(13))
    expect((await stat(file())).ino).toBe(ino)
  })

  test('is not acked while Envoy does not answer, and acked when it is back', async () => {
    await node.gateway.kill()
    const revision = node.order([14], { floor: 13 })
    const { reason, detail } = await nackOf(node, revision)
    expect({ reason, detail }).toEqual({
      reason: 'adapter_failed',
      detail: expect.stringMatching(/^Envoy's admin at .*: ECONNREFUSED; start Envoy/),
    })
    expect(node.fleet.acks.some((ack) => ack.revision === revision)).toBe(false)
    await node.gateway.start()
    expect(await presented()).toBe(bearer(14))
    await node.acked(revision)
  })

  test('that somebody overwrote is given again', async () => {
    const text = await readFile(file(), 'utf8')
    await writeFile(file(), text.replace('value-of-generation-14', 'value-of-generation-13'))
    // In place, which Envoy does not follow: it goes on with what it has.
    await until('written again', async () => (await readFile(file(), 'utf8')) === text)
    expect(await presented()).toBe(bearer(14))
    await node.ready()
  })

  test('ends by an order: Envoy answers 401 itself', async () => {
    await node.acked(node.order([], { floor: 15 }))
    expect(await presented()).toBe(401)
    const said = await agent.said()
    for (let generation = 1; generation <= 14; generation += 1)
      expect(said).not.toContain(sampleValue(generation).reveal())
    expect(said).toContain('the desired state is reached')
    expect((await stat(file())).mode & 0o777).toBe(0o600)
  })
})

/** In order, too. */
describe('a certificate that Envoy shows', () => {
  /** Whole pairs, of a key that Envoy takes for too weak. */
  const WEAK = 20
  const GARBAGE = 21
  const values = new Map<number, { value: Secret; serial: string }>()
  const at = (generation: number) => {
    const known = values.get(generation)
    if (!known) throw new Error(`no generation ${generation}`)
    return known
  }
  let node: Node
  let agent: ReturnType<typeof record>
  let ca: string
  beforeAll(async () => {
    const authority = await certificateAuthority()
    ca = authority.ca
    const issue = (keys?: webcrypto.CryptoKeyPair) =>
      authority.issue([{ type: 'dns', value: SERVER_NAME }], keys && { keys })
    for (let generation = 1; generation <= 8; generation += 1) keep(generation, await issue())
    const weak = { modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }
    const rsa = { name: 'RSASSA-PKCS1-v1_5', ...weak }
    keep(WEAK, await issue(await webcrypto.subtle.generateKey(rsa, true, ['sign', 'verify'])))
    const block = (label: string) =>
      `-----BEGIN ${label}-----\n${btoa(`planted ${label}`)}\n-----END ${label}-----\n`
    const garbage = Secret.of(`${block('CERTIFICATE')}${block('PRIVATE KEY')}`)
    values.set(GARBAGE, { value: garbage, serial: '' })
    const envoy = await startEnvoy()
    const caFile = join(envoy.dir, 'ca.pem')
    await writeFile(caFile, ca)
    const shown = { address: envoy.tlsAddress, serverName: SERVER_NAME, caFile }
    const adapter = { ...envoy.adapterOf('tls'), probe: 'shown', shown }
    node = await startNodeAt(envoy, adapter, (generation) => at(generation).value)
    agent = record(node)
    agent.start()
  })
  afterAll(() => node?.stop())

  function keep(generation: number, { key, cert }: { key: string; cert: string }) {
    const value = bundleText({ certificate: cert, chain: [], key: Secret.of(key) })
    values.set(generation, { value, serial: new X509Certificate(cert).serialNumber })
  }
  const file = () => node.gateway.fileOf('tls')

  test('changes under clients that connect anew and clients that stay: no request fails, and after an ack the new one is shown', async () => {
    await node.acked(node.order([1]))
    const tls = { ca, servername: SERVER_NAME }
    const each = { url: node.gateway.tlsUrl, key: () => 'none', count: 4 }
    const clients = [tls, { ...tls, keepAlive: false }].map((one) => startClients({ ...each, tls: one }))
    for (let generation = 2; generation <= 6; generation += 1) {
      await node.acked(node.order([generation], { floor: generation - 1 }))
      expect(await node.gateway.shownSerial()).toBe(at(generation).serial)
      const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
      expect(ack.refusals).toEqual([{ generation: generation - 1, tried: 'refused' }])
    }
    for (const { failed, requests, statuses } of await Promise.all(clients.map((one) => one.stop()))) {
      expect({ failed, statuses: [...statuses.keys()] }).toEqual({ failed: 0, statuses: [200] })
      expect(requests).toBeGreaterThan(50)
    }
  })

  test('is not acked when Envoy rejects it, not even when Envoy reads it again, and the one before stays', async () => {
    const revision = node.order([WEAK], { floor: 6 })
    const { reason, detail } = await nackOf(node, revision)
    expect(reason).toBe('adapter_failed')
    expect(detail).toMatch(
      /^Envoy does not use chat\.g20 of the secret "shop-tls", but chat\.g6; updates that it rejected: \d+\. Its log/,
    )
    await until('said why', async () => /update rejected: .*RSA/.test(await node.gateway.log()))
    // Another secret in the folder changes: Envoy reads all of them again, and calls what it rejected its version.
    const other = node.gateway.fileOf('generic')
    await writeFile(`${other}.tmp`, '{}')
    await rename(`${other}.tmp`, other)
    await until('tried again', async () => {
      const status = await askStatus(join(node.dir, 'state'))
      return status?.credentials[0]?.problem?.includes('but another one')
    })
    expect(await node.gateway.shownSerial()).toBe(at(6).serial)
    expect(node.fleet.acks.some((ack) => ack.revision === revision)).toBe(false)
    await node.acked(node.order([7], { floor: 6 }))
    expect(await node.gateway.shownSerial()).toBe(at(7).serial)
  })

  test('that is none does not even come to Envoy', async () => {
    const text = await readFile(file(), 'utf8')
    const { reason, detail } = await nackOf(node, node.order([GARBAGE], { floor: 6 }))
    expect({ reason, detail }).toEqual({
      reason: 'adapter_failed',
      detail: 'the value is no certificate with the private key that belongs to it',
    })
    expect(await readFile(file(), 'utf8')).toBe(text)
    await node.acked(node.order([7], { floor: 6 }))
  })

  test('is shown again after a restart of Envoy', async () => {
    await node.gateway.restart()
    await until('shown', async () => (await node.gateway.shownSerial()) === at(7).serial)
  })

  test('that must go is dropped by a restart, which the agent asks for', async () => {
    const revision = node.order([], { floor: 8 })
    const { detail } = await nackOf(node, revision)
    expect(detail).toContain('restart it')
    expect(await readFile(file(), 'utf8')).not.toContain('PRIVATE KEY')
    await node.gateway.restart()
    await node.acked(revision)
    expect(await node.gateway.shownSerial()).toBeUndefined()
    await node.acked(node.order([8], { floor: 8 }))
    expect(await node.gateway.shownSerial()).toBe(at(8).serial)
    const said = await agent.said()
    for (const { value } of values.values()) {
      const secret = value
        .reveal()
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('-----'))
      for (const line of secret) expect(said).not.toContain(line)
    }
  })
})
