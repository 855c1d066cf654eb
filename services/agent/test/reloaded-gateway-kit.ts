import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startClients } from './clients.ts'
import type { ReloadedGateway } from './nginx-reload.ts'
import { sampleValue, startNodeAt } from './node-bench.ts'
import { until } from './until.ts'

type Node = Awaited<ReturnType<typeof startNodeAt<ReloadedGateway>>>

const RESET = /hang up|ECONNRESET|EPIPE/

/**
 * What every gateway of disruption class C keeps: a change cuts connections, which is counted, and lies about no key. One that is valid
 * is never refused; one that was said to be refused is so on every connection, also on an old one. In order: each test goes on
 * where the one before it ended.
 */
export function testReloadedGateway(start: () => Promise<ReloadedGateway>): void {
  let node: Node
  let settled: number
  beforeAll(async () => {
    node = await startNodeAt(await start())
    settled = await node.gateway.workers()
    node.start()
  })
  afterAll(() => node?.stop())
  const key = (generation: number) => sampleValue(generation).reveal()
  const nack = (revision: number) =>
    until('the nack', () => {
      const found = node.fleet.messages.find((m) => m.type === 'nack' && m.revision === revision)
      return found?.type === 'nack' && found
    })

  test('ten rollovers under 16 keep-alive clients refuse no valid key, and what is cut is counted', async () => {
    expect(await node.statusOf(1)).toBe(401)
    await node.acked(node.order([1]))
    let presented = 1
    const asked = new Map<number, number>()
    const clients = startClients({
      url: node.gateway.url,
      count: 16,
      key: () => key(presented),
      headers: (client) => {
        asked.set(client, presented)
        return {}
      },
    })
    for (let generation = 2; generation <= 11; generation += 1) {
      await node.acked(node.order([generation - 1, generation]))
      presented = generation
      await until('nobody waits with the old key', () => [...asked.values()].every((g) => g === generation))
      const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
      expect(ack.refusals).toEqual([{ generation: generation - 1, tried: 'refused' }])
      expect(await node.gateway.workers()).toBe(settled)
      expect(await node.statusOf(generation - 1)).toBe(401)
    }
    const { requests, failed, statuses } = await clients.stop()
    const others = [...statuses.keys()].filter((seen) => seen !== 200 && !RESET.test(String(seen)))
    expect(others).toEqual([])
    expect(requests).toBeGreaterThan(500)
    expect(failed).toBeLessThanOrEqual(20 * 16)
    process.stderr.write(`reload: ${requests} requests, ${failed} cut in 20 reloads, no valid key refused\n`)
  })

  test('a stream that ends in time is whole, and no ack says that its key is gone before it is', async () => {
    await node.acked(node.order([11, 12], { floor: 11 }))
    const ask = (tokens: number) =>
      fetch(`${node.gateway.url}/stream?n=${tokens}`, { headers: { 'x-api-key': key(11) } })
    const [short, long] = [await ask(5), await ask(100)]
    const cut = long.text().then(
      () => 'whole',
      () => 'cut',
    )
    let ended: string | undefined
    void cut.then((how) => {
      ended = how
    })
    await node.acked(node.order([12], { refuse: [11], floor: 12 }))
    expect(await node.gateway.workers()).toBe(settled)
    expect(await short.text()).toMatch(/data: 5\n\ndata: \[DONE\]\n\n$/)
    await until('the long one has ended', () => ended)
    expect(ended).toBe('cut')
    expect(await node.statusOf(11)).toBe(401)
  })

  test('a dead key opens nothing after its ack, on a connection from before neither', async () => {
    await node.acked(node.order([12, 13], { floor: 12 }))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const overOld = () =>
      new Promise<number | string>((resolve) => {
        request(node.gateway.url, { agent, headers: { authorization: `Bearer ${key(12)}` } }, (answer) =>
          answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
        )
          .on('error', ({ message }) => resolve(message))
          .end()
      })
    expect(await overOld()).toBe(200)
    // A stream keeps the connection open, and with it an old worker.
    const session = connect(node.gateway.http2Url)
    session.on('error', () => {})
    const stream = session.request({ ':path': '/stream?n=100', 'x-api-key': key(12) })
    stream.on('error', () => {}).resume()
    await new Promise((resolve) => stream.once('response', resolve))
    const revision = node.order([13], { refuse: [12], floor: 13 })
    let acked = false
    const ack = node.acked(revision).then(() => {
      acked = true
    })
    // What an old worker makes of a new request is its own business, as long as there is no ack.
    await until('new connections refuse it', async () => (await node.statusOf(12)) === 401)
    expect(acked).toBe(false)
    const early = await overHttp2(session, key(12))
    await ack
    expect(await node.gateway.workers()).toBe(settled)
    process.stderr.write(
      `reload: the dead key on an HTTP/2 connection from before, before its ack: ${early}\n`,
    )
    expect(await overHttp2(session, key(12))).not.toBe(200)
    expect(await overOld()).not.toBe(200)
    expect(await overOld()).toBe(401)
    session.destroy()
    agent.destroy()
  })

  test('a configuration that is broken takes nothing down, and nothing is left that would', async () => {
    const before = await node.gateway.keys()
    await node.gateway.breakConfiguration()
    const revision = node.order([13, 14], { floor: 13 })
    const { reason, detail } = await nack(revision)
    expect(reason).toBe('adapter_failed')
    expect(detail).toContain('would not take its configuration')
    expect(await node.gateway.workers()).toBe(settled)
    expect(await node.statusOf(13)).toBe(200)
    await until('what was there is back', async () => (await node.gateway.keys()) === before)
    await node.gateway.mendConfiguration()
    await node.acked(revision)
    expect(await node.statusOf(14)).toBe(200)
  })

  test('an agent that is killed between its write and the end of the old workers acks when they are gone', async () => {
    const long = await fetch(`${node.gateway.url}/stream?n=100`, { headers: { 'x-api-key': key(13) } })
    void long.text().catch(() => {})
    const revision = node.order([14], { refuse: [13], floor: 14 })
    await until('reloaded', async () => (await node.statusOf(13)) === 401)
    expect(await node.gateway.workers()).toBeGreaterThan(settled)
    await node.kill()
    node.start()
    await node.acked(revision)
    expect(await node.gateway.workers()).toBe(settled)
  })

  test('a gateway that is down is said so, and has its keys when it is back', async () => {
    await node.gateway.kill()
    const revision = node.order([14, 15], { floor: 14 })
    expect((await nack(revision)).detail).toMatch(/has ended|names nobody/)
    await node.gateway.start()
    expect(await node.statusOf(15)).toBe(200)
    await node.acked(revision)
  })

  test('with Vault away a key that must die is refused, and the others go on', async () => {
    node.vault.mode.away = true
    const revision = node.order([15, 16], { refuse: [14], floor: 15 })
    await until('refused', async () => (await node.statusOf(14)) === 401)
    expect(await node.statusOf(15)).toBe(200)
    node.vault.mode.away = false
    await node.acked(revision)
    expect(await node.statusOf(16)).toBe(200)
  })

  test('the gateway keeps its keys without an agent, and none is in a log or a message', async () => {
    expect(await node.kill('SIGTERM')).toBe(0)
    expect(await node.statusOf(16)).toBe(200)
    const journal = await readFile(join(node.dir, 'state', 'journal-chat.json'), 'utf8')
    const said = [...node.logs(), JSON.stringify(node.fleet.messages), journal].join('\n')
    for (let generation = 1; generation <= 16; generation += 1) expect(said).not.toContain(key(generation))
  })
}

/** What is answered, or why nothing is. */
function overHttp2(session: ClientHttp2Session, value: string): Promise<number | string> {
  return new Promise<number | string>((resolve, reject) => {
    const asked = session.request({ ':path': '/', 'x-api-key': value })
    asked.on('response', (headers) => resolve(headers[':status'] ?? 0))
    asked.on('error', reject)
    asked.on('close', () => resolve('closed'))
    asked.resume().end()
  }).catch((error: Error) => error.message)
}
