import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { freePort } from '@rekey/local'
import { SupervisedProcess } from '@rekey/platform'
import { startHttpServer } from '@rekey/testing'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterEach, expect, inject, test, vi } from 'vitest'
import { startWorld, type World } from './world.ts'

/** From GitHub's delivery to the dead key: which one leaked is known by its value alone, and the value is nowhere. */

const stack = inject('stack')
const HOOK_SECRET = 'a-secret-of-the-hook-in-tests'
const API_TOKEN = 'a-token-of-github-in-tests'
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Starts the service beside a whole Rekey, and a server that tells the value of every alert, as GitHub does. */
async function webhooks(world: World, leaked: Secret) {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-webhooks-e2e-'))
  ends.push(() => rm(dir, { recursive: true, force: true }))
  const github = await startHttpServer((request, response) => {
    const isAsked = request.headers.authorization === `Bearer ${API_TOKEN}`
    const number = Number(request.url?.split('/').at(-1))
    response
      .writeHead(isAsked ? 200 : 401)
      .end(isAsked ? JSON.stringify({ number, secret: leaked.reveal() }) : '{}')
  })
  ends.push(github.close)
  const port = await freePort()
  const config = {
    github: {
      secretFiles: ['hook-secret'],
      emitter: world.emitter,
      api: { url: github.url, tokenFile: 'token' },
    },
  }
  await writeFile(join(dir, 'hook-secret'), HOOK_SECRET)
  await writeFile(join(dir, 'token'), API_TOKEN)
  await writeFile(join(dir, 'webhooks.yaml'), JSON.stringify(config))
  const service = new SupervisedProcess({
    name: 'webhooks',
    main: new URL('../../services/webhooks/src/main.ts', import.meta.url),
    env: {
      KAFKA_BROKERS: stack.kafkaBrokers.join(','),
      WEBHOOKS_CONFIG_FILE: join(dir, 'webhooks.yaml'),
      WEBHOOKS_SPOOL_DIR: join(dir, 'spool'),
      WEBHOOKS_PORT: String(port),
      VAULT_ADDR: stack.vaultAddr,
      VAULT_ROLE_ID_FILE: join(stack.identitiesDir, 'webhooks', 'vault-role-id'),
      VAULT_SECRET_ID_FILE: join(stack.identitiesDir, 'webhooks', 'vault-secret-id'),
    },
    // Beside those of the others, where they are searched.
    logFile: join(world.platform.logsDir, 'webhooks.log'),
    ready: /webhooks started/,
  })
  ends.push(() => service.stop())
  await service.start()
  return {
    service,
    async deliver(number: number, action = 'created', headers: Record<string, string> = {}): Promise<number> {
      const body = JSON.stringify({
        action,
        alert: { number, secret_type: 'some_key', created_at: '2026-11-21T09:00:00Z', updated_at: null },
        repository: { full_name: 'octo/chat', html_url: 'https://github.com/octo/chat' },
      })
      const hmac = createHmac('sha256', HOOK_SECRET).update(body).digest('hex')
      const response = await fetch(`http://127.0.0.1:${port}/github`, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          'x-github-event': 'secret_scanning_alert',
          'x-github-delivery': crypto.randomUUID(),
          'x-hub-signature-256': `sha256=${hmac}`,
          ...headers,
        },
      })
      return response.status
    },
  }
}

async function ledgerSays(world: World, question: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: world.servers.postgresUrl })
  await client.connect()
  try {
    return (await client.query(question)).rows
  } finally {
    await client.end()
  }
}

/** Everything on the emitter's topic, and on those that tell of it. */
async function topicsSay(world: World): Promise<string> {
  const kafka = new Kafka({ brokers: stack.kafkaBrokers, logLevel: logLevel.NOTHING })
  const topics = [
    `rekey.changes.${world.emitter}.v1`,
    world.auditTopic,
    'rekey.verdicts.v1',
    'rekey.dead-letter.v1',
  ]
  const admin = kafka.admin()
  await admin.connect()
  const open = new Map<string, bigint>()
  for (const topic of topics)
    for (const { partition, high, low } of await admin.fetchTopicOffsets(topic))
      if (BigInt(high) > BigInt(low)) open.set(`${topic} ${partition}`, BigInt(high) - 1n)
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `webhooks-e2e-${crypto.randomUUID()}`, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  const texts: string[] = []
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      texts.push([message.key, message.value, JSON.stringify(message.headers)].join('\n'))
      const last = open.get(`${topic} ${partition}`)
      if (last !== undefined && BigInt(message.offset) >= last) open.delete(`${topic} ${partition}`)
    },
  })
  await vi.waitFor(() => expect([...open.keys()]).toEqual([]), { timeout: 30_000 })
  await consumer.disconnect()
  return texts.join('\n')
}

const fingerprinted = (world: World) =>
  vi.waitFor(
    async () =>
      expect(await ledgerSays(world, 'select 1 from generation where fingerprint is not null')).toHaveLength(
        1,
      ),
    { timeout: 30_000 },
  )

test('a key that GitHub found is replaced and dead, once for all deliveries, and its value is nowhere', async () => {
  const world = await startWorld({ stack, rollout: { quietMs: 60_000, expediteDrainMs: 2_000 } })
  ends.push(() => world.close())
  const leaked = (await world.readers.vault())?.value
  if (!leaked) throw new Error('readers of Vault find nothing')
  await fingerprinted(world)
  const clients = world.clients()
  const { deliver, service } = await webhooks(world, leaked)
  expect(await deliver(42, 'created', { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` })).toBe(401)
  const statuses = await Promise.all([deliver(42), deliver(42), deliver(42, 'publicly_leaked'), deliver(43)])
  expect(statuses).toEqual([202, 202, 202, 202])
  const rotation = `${world.credential}-g2`
  await vi.waitFor(() => world.control.rotation(rotation), { timeout: 20_000 })
  // Killed in mid-work, it comes back and changes nothing.
  await service.kill()
  await service.untilReady()
  expect(await world.ended(rotation)).toBe('closed')
  const { failed, failures } = await clients.stop()
  expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
  expect(await world.control.rotation(rotation)).toMatchObject({
    mode: 'expedite',
    compromised: [1],
    cause: {
      kind: 'leak',
      reason: expect.stringContaining('https://github.com/octo/chat/security/secret-scanning/4'),
    },
  })
  expect(await world.knock(leaked)).toEqual([401, 401])

  // Delivered again after its death, under yet another id: nothing.
  expect(await deliver(42)).toBe(202)
  expect(await deliver(42, 'reopened')).toBe(202)
  await vi.waitFor(
    async () => {
      const seen = await ledgerSays(
        world,
        "select verdict ->> 'verdict' as v from inbox where id like '%reopened%'",
      )
      expect(seen).toEqual([{ v: 'no-change' }])
    },
    { timeout: 20_000 },
  )
  expect(await world.control.rotations({ credential: world.credential })).toHaveLength(2)

  const logs = readdirSync(world.platform.logsDir).map((name) =>
    readFileSync(join(world.platform.logsDir, name), 'utf8'),
  )
  const everything = [...logs, await topicsSay(world)].join('\n')
  expect(everything).toContain('secret-scanning/42')
  for (const secret of [leaked.reveal(), HOOK_SECRET, API_TOKEN]) expect(everything).not.toContain(secret)
})

test('a value that nobody knows is a finding, and says where it was seen', async () => {
  const world = await startWorld({ stack, gateways: 1 })
  ends.push(() => world.close())
  const { deliver } = await webhooks(world, Secret.of('a value of somebody else'))
  await fingerprinted(world)
  expect(await deliver(7)).toBe(202)
  await vi.waitFor(
    async () => {
      const [seen] = await ledgerSays(world, "select verdict from inbox where source = '/github/octo/chat'")
      expect(seen?.verdict).toMatchObject({
        verdict: 'unknown-credential',
        reason: expect.stringContaining('seen here: https://github.com/octo/chat/security/secret-scanning/7'),
      })
    },
    { timeout: 20_000 },
  )
  await vi.waitFor(
    async () => expect(await topicsSay(world)).toContain('A leak was reported, and nothing was done'),
    { timeout: 30_000 },
  )
  expect(await world.control.rotations({ credential: world.credential })).toHaveLength(1)
})
