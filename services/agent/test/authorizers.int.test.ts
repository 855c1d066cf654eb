import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UsageMessage } from '@rekey/contracts'
import { freePort } from '@rekey/local'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { startClients } from './clients.ts'
import { LONGEST_MS, type Nginx, startNginx } from './nginx.ts'
import { sampleValue, startNodeAt } from './node-bench.ts'
import { AGENT, startProcess } from './process.ts'
import { until } from './until.ts'

describe('the authorizers of one NGINX', () => {
  let node: Awaited<ReturnType<typeof startNodeAt<Nginx>>>
  beforeAll(async () => {
    node = await startNodeAt(await startNginx())
    node.start()
    await node.acked(node.order([1]))
  })
  afterAll(() => node?.stop())

  const inFlight = () => {
    const report = node.fleet.messages.findLast((m): m is UsageMessage => m.type === 'usage')
    return report?.generations.find((g) => g.generation === 1)?.inFlight
  }
  const clientsOf = () =>
    startClients({ url: node.gateway.url, count: 16, key: () => sampleValue(1).reveal() })

  test('are killed one after the other, and the agent too, without a failed request', async () => {
    const clients = clientsOf()
    await until('they ask', () => (inFlight() ?? 0) > 0)
    for (const authorizer of node.gateway.authorizers) {
      await authorizer.kill()
      await authorizer.start()
    }
    await node.kill()
    // With no agent there, each knows its keys from its file.
    for (const authorizer of node.gateway.authorizers) {
      await authorizer.kill()
      await authorizer.start()
    }
    node.start()
    await node.ready()
    const { failed, requests, statuses } = await clients.stop()
    expect({ failed, statuses: [...statuses.keys()] }).toEqual({ failed: 0, statuses: [200] })
    expect(requests).toBeGreaterThan(100)
  })

  test('one that lost its file is passed over until the agent has told it again', async () => {
    const [first] = node.gateway.authorizers
    const file = join(node.gateway.dir, 'keys-1.json')
    const clients = clientsOf()
    node.pause()
    await first?.kill()
    await rm(file)
    await first?.start()
    const answers = await Promise.all([1, 2, 3, 4].map(() => node.statusOf(1)))
    expect(answers).toEqual([200, 200, 200, 200])
    node.resume()
    await until('told', async () => (await readFile(file, 'utf8').catch(() => '')).includes('chat.g1'))
    const { failed, statuses } = await clients.stop()
    expect({ failed, statuses: [...statuses.keys()] }).toEqual({ failed: 0, statuses: [200] })
  })

  test('one that hangs is left for the other one', async () => {
    const [first] = node.gateway.authorizers
    first?.signal('SIGSTOP')
    try {
      const answers = await Promise.all([1, 2, 3, 4].map(() => node.statusOf(1)))
      expect(answers).toEqual([200, 200, 200, 200])
    } finally {
      first?.signal('SIGCONT')
    }
  })

  test('after a restart a key counts as in flight until what it may have forgotten must have ended', async () => {
    const idle = () => until('idle', () => inFlight() === 0, LONGEST_MS + 10_000)
    await idle()
    const [first] = node.gateway.authorizers
    await first?.kill()
    await first?.start()
    const since = performance.now()
    await until('assumed', () => inFlight() === 1)
    await idle()
    expect(performance.now() - since).toBeGreaterThan(LONGEST_MS - 500)
  })

  test('say to nobody but the agent which keys there are, and keep no value', async () => {
    const [first] = node.gateway.authorizers
    expect((await stat(first?.adminSocket ?? '')).mode & 0o777).toBe(0o600)
    const kept = await readFile(join(node.gateway.dir, 'keys-1.json'), 'utf8')
    expect(kept).toContain('chat.g1')
    expect(kept).not.toContain(sampleValue(1).reveal())
  })
})

describe('an authorizer', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rekey-auth-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  async function started(more: Record<string, unknown> = {}) {
    const config = join(dir, 'authorizer.yaml')
    const document = {
      socket: 'a.sock',
      adminSocket: 'admin.sock',
      ends: `127.0.0.1:${await freePort()}`,
      keysFile: 'keys.json',
      ...more,
    }
    await writeFile(config, stringify(document))
    return startProcess(AGENT, ['authorizer', '--config', config])
  }

  test('says what is wrong with its file, and takes no socket that another one serves', async () => {
    const wrong = await started({ ends: 'here' })
    expect(await wrong.exited).toBe(2)
    expect(wrong.lines.join('\n')).toContain('ends: must be an address and a port')

    const first = await started()
    await until('it answers', () => first.lines.some((line) => line.includes('the authorizer answers')))
    const second = await started()
    expect(await second.exited).toBe(1)
    expect(second.lines.join('\n')).toContain('another process serves')
    expect(await first.kill()).toBe(0)
  })

  test('does not begin with nothing where its file of keys is damaged', async () => {
    await writeFile(join(dir, 'keys.json'), '{"chat":')
    const damaged = await started()
    expect(await damaged.exited).toBe(1)
    expect(damaged.lines.join('\n')).toContain('keys.json is damaged: remove it')
  })
})
