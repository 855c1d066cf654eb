import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UsageMessage } from '@rekey/contracts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../src/adapters/haproxy/stats-socket.ts'
import { type NodeBench, sampleValue, startNode } from './node-bench.ts'
import { until } from './until.ts'

const EXAMPLE = new URL('../../../examples/haproxy/haproxy.cfg', import.meta.url)

const tableOf = (node: NodeBench, table: string) => ask(node.gateway.socket, `show table ${table}`)
const reports = (node: NodeBench) => node.fleet.messages.filter((m): m is UsageMessage => m.type === 'usage')
const graveyard = (node: NodeBench) => reports(node).findLast((m) => m.graveyard)?.graveyard
const watching = (node: NodeBench, generation: number) =>
  until(`watching for generation ${generation}`, () => graveyard(node)?.watched.includes(generation))

/** From one key over two to the next one; the old one is proved dead. */
async function rolledOver(node: NodeBench): Promise<void> {
  await node.acked(node.order([1]))
  await node.acked(node.order([1, 2]))
  await node.acked(node.order([2], { refuse: [1], floor: 2 }))
}

describe('a gateway with a graveyard', () => {
  let node: NodeBench
  beforeAll(async () => {
    node = await startNode()
    node.start()
    await rolledOver(node)
  })
  afterAll(() => node?.stop())

  test('takes nothing of its own for a knock: not the tries of its agent, not those before the proof of death', async () => {
    // As the prober tries it, while the death is being proved.
    expect(await node.statusOf(1)).toBe(401)
    expect(await until('told', () => graveyard(node))).toEqual({ watched: [], knocks: [] })
    node.fleet.dead([1])
    await watching(node, 1)
    // Its order again, and in a new session: everything that the agent tries of itself.
    await node.acked(node.order([2], { refuse: [1], floor: 2 }))
    const before = node.fleet.acks.length
    node.fleet.drop()
    await until('proved again', () => node.fleet.acks.length > before)
    expect(await tableOf(node, 'st_knocks')).not.toContain('key=')
  })

  test('refuses a dead key as before, and its agent tells who presented it', async () => {
    expect(await node.statusOf(1)).toBe(401)
    expect(await node.statusOf(1, '127.0.0.7')).toBe(401)
    expect(await node.statusOf(1, '127.0.0.7')).toBe(401)
    const knocks = await until('told', () => {
      const { knocks: told } = graveyard(node) ?? { knocks: [] }
      return told.find((k) => k.address === '127.0.0.7' && k.requests === 2) && told
    })
    expect(knocks).toMatchObject([
      { generation: 1, address: '127.0.0.7', requests: 2 },
      { generation: 1, address: '127.0.0.1', requests: 1 },
    ])
  })

  test('says the same of a dead key as of any other string, and counts no such string', async () => {
    const answerTo = async (key: string) => {
      const response = await fetch(node.gateway.probeUrl, { headers: { 'x-api-key': key } })
      return { status: response.status, body: await response.text() }
    }
    expect(await answerTo(sampleValue(1).reveal())).toEqual(await answerTo('any other string'))
    const rows = await tableOf(node, 'st_knocks')
    expect(rows.match(/key=/g)).toHaveLength(2)
    // No request with a dead key counts as a use of a key: drains are judged by that.
    expect(await tableOf(node, 'st_keys')).not.toMatch(/key=chat\.g1@/)
    expect(await tableOf(node, 'st_clients')).not.toMatch(/key=chat\.g1@127\.0\.0\.7 /)
  })

  test('tells by whom the key in use is used, and counts for drains as before', async () => {
    expect(await node.statusOf(2, '127.0.0.9')).toBe(200)
    const clients = await until('told', () => {
      const told = reports(node).findLast((m) => m.clients)?.clients
      return told?.some((c) => c.address === '127.0.0.9') && told
    })
    expect(clients.find((c) => c.address === '127.0.0.9')).toMatchObject({ generation: 2, requests: 1 })
    expect(new Set(clients.map((c) => c.generation))).toEqual(new Set([2]))
    const counted = reports(node)
      .at(-1)
      ?.generations.find((g) => g.generation === 2)
    expect(counted?.requests).toBeGreaterThan(1)
  })

  test('keeps it through a restart of HAProxy, with no agent there', async () => {
    await node.kill()
    await node.gateway.restart()
    expect(await node.statusOf(1, '127.0.0.8')).toBe(401)
    expect(await tableOf(node, 'st_knocks')).toContain('key=chat.g1@127.0.0.8')
    const files = await Promise.all([
      readFile(node.gateway.graveyard, 'utf8'),
      readFile(join(node.dir, 'state', 'graveyard-chat.json'), 'utf8'),
    ])
    expect(files.join('')).not.toContain(sampleValue(1).reveal())
  })

  test('is looked after by the next agent, which knows what the one before it held', async () => {
    node.fleet.messages.length = 0
    await writeFile(node.gateway.graveyard, '')
    await node.gateway.restart()
    node.start()
    await watching(node, 1)
    expect(await node.statusOf(1, '127.0.0.8')).toBe(401)
    await until('told', () => graveyard(node)?.knocks.some((k) => k.address === '127.0.0.8'))
    expect((await node.ready()).credentials[0]).toMatchObject({ knocks: 'counted' })
  })
})

describe('a gateway that is configured as in the release before', () => {
  let node: NodeBench | undefined
  let dir = ''
  afterEach(async () => {
    await node?.stop()
    if (dir !== '') await rm(dir, { recursive: true, force: true })
  })

  test('goes on as before: the agent says once that knocks are not counted', async () => {
    const example = await readFile(EXAMPLE, 'utf8')
    const before = example
      .split('\n')
      .filter((line) => !/st_knocks|st_clients|txn\.dead|txn\.knock|txn\.client|size [12]k/.test(line))
      .join('\n')
    expect(before).not.toMatch(/"\$\{GATEWAY_GRAVEYARD\}"/)
    dir = await mkdtemp(join(tmpdir(), 'rekey-before-'))
    await writeFile(join(dir, 'haproxy.cfg'), before)
    node = await startNode({ config: join(dir, 'haproxy.cfg') })
    node.start()
    await rolledOver(node)
    node.fleet.dead([1])
    expect(await node.statusOf(1)).toBe(401)
    expect(await node.statusOf(2)).toBe(200)
    const { credentials } = await node.ready()
    expect(credentials[0]).toMatchObject({ accept: [2], problem: null, knocks: 'not counted' })
    expect(node.logs().filter((line) => line.includes('not counted'))).toHaveLength(1)
    const since = reports(node).length
    await until('reports', () => reports(node as NodeBench).length > since + 3)
    for (const message of reports(node)) {
      expect(message).not.toHaveProperty('graveyard')
      expect(message).not.toHaveProperty('clients')
    }
  })

  test('so does an agent whose configuration names no graveyard', async () => {
    node = await startNode({ graveyard: false })
    node.start()
    await rolledOver(node)
    const hello = node.fleet.messages.find((m) => m.type === 'hello')
    expect(hello?.type === 'hello' && hello.adapters[0]?.buries).toBe(false)
    expect((await node.ready()).credentials[0]).toMatchObject({ knocks: 'not counted' })
    expect(await node.statusOf(1)).toBe(401)
  })
})
