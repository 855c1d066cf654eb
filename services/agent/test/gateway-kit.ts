import { access, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { UsageMessage } from '@rekey/contracts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startClients } from './clients.ts'
import type { Gateway } from './gateway.ts'
import { sampleValue, startNodeAt } from './node-bench.ts'
import { until } from './until.ts'

type Node = Awaited<ReturnType<typeof startNodeAt<Gateway>>>

/**
 * What every gateway of disruption class A keeps: no request fails while keys change, a dead one is refused at once, what runs is
 * known, and both come back after a restart. In order: each test goes on where the one before it ended, at generation 14.
 */
export function testGateway(start: () => Promise<Gateway>): void {
  let node: Node
  beforeAll(async () => {
    node = await startNodeAt(await start())
    node.start()
  })
  afterAll(() => node?.stop())
  const reports = () => node.fleet.messages.filter((m): m is UsageMessage => m.type === 'usage')
  const usageOf = (generation: number) =>
    reports()
      .at(-1)
      ?.generations.find((g) => g.generation === generation)

  test('ten rollovers under 16 keep-alive clients fail no request, and dead keys are refused at once', async () => {
    await node.acked(node.order([1]))
    let presented = 1
    const clients = startClients({
      url: node.gateway.url,
      count: 16,
      key: () => sampleValue(presented).reveal(),
    })
    for (let generation = 2; generation <= 11; generation += 1) {
      await node.acked(node.order([generation - 1, generation]))
      presented = generation
      // What is on its way with the old key is answered before the old key ends.
      await until('the old key is idle', () => {
        const old = usageOf(generation - 1)
        return old?.inFlight === 0 && (old.lastUseAgeMs ?? 0) > 100
      })
      const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
      expect(ack.refusals).toEqual([{ generation: generation - 1, tried: 'refused' }])
      expect(await node.statusOf(generation - 1)).toBe(401)
    }
    const tally = await clients.stop()
    expect(tally.failed).toBe(0)
    expect(tally.requests).toBeGreaterThan(500)
    process.stderr.write(`rollover: ${tally.requests} requests, ${tally.failed} failed\n`)
  })

  test('a long request and a stream survive the swap of their key, and count as in flight meanwhile', async () => {
    await node.acked(node.order([11, 12], { floor: 11 }))
    const headers = { 'x-api-key': sampleValue(11).reveal() }
    const slow = fetch(`${node.gateway.url}/slow?ms=1500`, { headers })
    const stream = fetch(`${node.gateway.url}/stream?n=15`, { headers })
    await until('in flight', () => usageOf(11)?.inFlight === 2)
    await node.acked(node.order([12], { refuse: [11], floor: 12 }))
    expect(await node.statusOf(11)).toBe(401)
    const response = await slow
    expect(response.status).toBe(200)
    const seen = (await response.json()) as { headers: Record<string, string> }
    expect(seen.headers['x-api-key']).toBeUndefined()
    expect(seen.headers['x-rekey-key-id']).toBe('chat.g11')
    const tokens = await (await stream).text()
    expect(tokens.trim().split('\n\n')).toHaveLength(16)
    expect(tokens).toMatch(/data: 15\n\ndata: \[DONE\]\n\n$/)
    await until('ended', () => usageOf(11)?.inFlight === 0)
  })

  test('a gateway without a key answers only its health', async () => {
    expect((await fetch(`${node.gateway.url}/healthz`)).status).toBe(200)
    expect((await fetch(node.gateway.url)).status).toBe(401)
    expect((await fetch(node.gateway.url, { headers: { authorization: 'Basic eDp5' } })).status).toBe(401)
  })

  test('a restarted gateway has its keys again, and its counters go on', async () => {
    const requestsOf12 = () => usageOf(12)?.requests ?? 0
    const before = await until('counted', () => requestsOf12() || undefined)
    await node.gateway.restart()
    await until('served again', async () => (await node.statusOf(12)) === 200)
    await until('counted on', () => requestsOf12() > before)
  })

  test('a gateway that is down is said so, and the ack comes when it is back', async () => {
    await node.gateway.kill()
    const revision = node.order([12, 13], { floor: 12 })
    await until('the nack', () =>
      node.fleet.messages.some(
        (m) => m.type === 'nack' && m.revision === revision && m.reason === 'adapter_failed',
      ),
    )
    await node.gateway.start()
    await node.acked(revision)
    expect(await node.statusOf(13)).toBe(200)
  })

  test('who presents a dead key is told, and it counts as no use', async () => {
    node.fleet.dead([11])
    await until('watching', () =>
      reports()
        .findLast((m) => m.graveyard)
        ?.graveyard?.watched.includes(11),
    )
    const before = usageOf(11)?.requests
    expect(await node.statusOf(11, '127.0.0.7')).toBe(401)
    const knocks = await until('told', () => {
      const told = reports().findLast((m) => m.graveyard)?.graveyard?.knocks
      return told?.some((knock) => knock.address === '127.0.0.7') && told
    })
    expect(knocks).toMatchObject([{ generation: 11, address: '127.0.0.7', requests: 1 }])
    expect(usageOf(11)?.requests).toBe(before)
  })

  test('with Vault away, a key that must die is refused at once, and the others go on', async () => {
    node.vault.mode.away = true
    const revision = node.order([13, 14], { refuse: [12], floor: 13 })
    await until('refused', async () => (await node.statusOf(12)) === 401)
    expect(await node.statusOf(13)).toBe(200)
    node.vault.mode.away = false
    await node.acked(revision)
  })

  test('SIGTERM ends the agent cleanly, and the gateway keeps its keys', async () => {
    expect(await node.kill('SIGTERM')).toBe(0)
    expect(await node.statusOf(13)).toBe(200)
    expect(await node.statusOf(14)).toBe(200)
    const kept = [...node.logs(), await readFile(join(node.dir, 'state', 'journal-chat.json'), 'utf8')].join(
      '\n',
    )
    for (let generation = 1; generation <= 14; generation += 1)
      expect(kept).not.toContain(sampleValue(generation).reveal())
    expect((await stat(join(node.dir, 'state', 'node.key'))).mode & 0o777).toBe(0o600)
    await expect(access(join(node.dir, 'token'))).rejects.toThrow()
  })

  test('with fleet and Vault away, agent and gateway both started again, it serves what it had', async () => {
    node.vault.mode.away = true
    node.fleet.mute(true)
    node.start()
    await until('it has tried', () => node.logs().some((line) => line.includes('is not reached')))
    await node.gateway.restart()
    await until('served again', async () => (await node.statusOf(13)) === 200)
    expect(await node.statusOf(14)).toBe(200)
    expect(await node.statusOf(12)).toBe(401)
    node.vault.mode.away = false
    node.fleet.mute(false)
    node.fleet.drop()
    await node.ready()
  })
}
