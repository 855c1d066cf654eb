import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import { digestOf } from '@rekey/contracts'
import { type CloudEvent, changesTopic, decode, toChange } from '@rekey/events'
import { createTopics } from '@rekey/local'
import { createLogger } from '@rekey/runtime'
import { connectKafka } from '@rekey/runtime/kafka'
import { plantedSecret } from '@rekey/testing'
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest'
import { type GithubApi, startGithubApi } from '../test/github-api.ts'
import { givenFolder, TOKEN, writeConfiguration } from '../test/given.ts'
import { alertPayload, argocdPayload, fluxPayload, signature } from '../test/payloads.ts'

/** The service as it is run, with a real Kafka and a real Vault, and a server that stands for GitHub's API. */

const stack = inject('stack')
const logger = createLogger({ service: 'webhooks-test' })
logger.level = 'silent'
const kafka = connectKafka({ brokers: stack.kafkaBrokers, clientId: 'webhooks-main-test', logger })
const run = crypto.randomUUID().slice(0, 8)
const watcher = kafka.consumer({ groupId: `webhooks-${run}`, maxWaitTimeInMs: 200 })
const topics = ['github', 'argocd', 'flux'].map((name) => changesTopic(`${name}-${run}`))
const records: { topic: string; text: string; event: CloudEvent }[] = []
const value = plantedSecret()
const githubToken = plantedSecret()
const folder = givenFolder()
const logs: string[] = []
const running: { end: (signal: NodeJS.Signals) => Promise<unknown> }[] = []
let api: GithubApi
let config: string

beforeAll(async () => {
  await createTopics({ kafka: { brokers: stack.kafkaBrokers } }, topics)
  await watcher.connect()
  await watcher.subscribe({ topics, fromBeginning: true })
  await watcher.run({
    eachMessage: async ({ topic, message }) => {
      const { key, value: bytes, headers = {} } = message
      const decoded = decode({ key, value: bytes, headers })
      if (!decoded.ok) throw new Error(decoded.reason)
      const text = [key, bytes, JSON.stringify(headers)].join('\n')
      records.push({ topic, text, event: decoded.event })
    },
  })
  api = await startGithubApi(githubToken.reveal(), {
    '/repos/octo/chat/secret-scanning/alerts/42': value.reveal(),
  })
  folder.file('github-token', githubToken.reveal())
  config = writeConfiguration(folder, {
    github: { emitter: `github-${run}`, api: { url: api.url, tokenFile: 'github-token' } },
    argocd: { emitter: `argocd-${run}` },
    flux: { emitter: `flux-${run}` },
  })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ end }) => end('SIGTERM')))
  api.heal()
})
afterAll(async () => {
  await watcher.disconnect()
  await api.close()
  folder.end()
})

const identity = (file: string) => join(stack.identitiesDir, 'webhooks', file)

async function start(env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      KAFKA_BROKERS: stack.kafkaBrokers.join(','),
      WEBHOOKS_CONFIG_FILE: config,
      WEBHOOKS_SPOOL_DIR: join(folder.dir, 'spool'),
      WEBHOOKS_PORT: '0',
      VAULT_ADDR: stack.vaultAddr,
      VAULT_ROLE_ID_FILE: identity('vault-role-id'),
      VAULT_SECRET_ID_FILE: identity('vault-secret-id'),
      ...env,
    },
  })
  const exited = once(child, 'exit')
  const started = Promise.withResolvers<{ url: string; healthPort: number }>()
  if (!child.stdout) throw new Error('it has no output')
  createInterface({ input: child.stdout }).on('line', (line) => {
    logs.push(line)
    const entry = JSON.parse(line)
    if (entry.msg === 'webhooks started') started.resolve(entry)
  })
  exited.then(() => started.reject(new Error(`webhooks ended:\n${logs.join('\n')}`)))
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  running.push({ end })
  const { url, healthPort } = await started.promise
  return { url, ready: `http://127.0.0.1:${healthPort}/readyz`, end }
}

async function post(url: string, payload: unknown, headers: Record<string, string> = {}): Promise<number> {
  const body = JSON.stringify(payload)
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': signature(body), ...headers },
  })
  return response.status
}
const alert = (url: string, over: Parameters<typeof alertPayload>[0] = {}) =>
  post(`${url}/github`, alertPayload(over), { 'x-github-event': 'secret_scanning_alert' })

const leaks = (number: number) =>
  records.flatMap(({ event }) => (event.id.startsWith(`secret-scanning/${number}/`) ? [event] : []))

test('an alert becomes a leak with the fingerprint that the ledger would know, and the value is nowhere', async () => {
  const { url, ready } = await start()
  expect([await alert(url), await alert(url)]).toEqual([202, 202])
  await vi.waitFor(() => expect(leaks(42)).not.toEqual([]), { timeout: 20_000 })
  const vault = connectVault({
    addr: stack.vaultAddr,
    roleId: readFileSync(join(stack.identitiesDir, 'rotator', 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(stack.identitiesDir, 'rotator', 'vault-secret-id'),
  })
  const [fingerprint] = await vaultFingerprints(vault).of([digestOf(value.reveal())])
  vault.close()
  const [first] = leaks(42)
  if (!first) throw new Error('no event')
  expect(toChange(first)).toMatchObject({
    ok: true,
    change: { type: 'credential.leaked', credential: 'chat-gateway-key', fingerprint },
  })
  // Delivered again, and again later: never an event with another id.
  expect(await alert(url)).toBe(202)
  await vi.waitFor(() => expect(readdirSync(join(folder.dir, 'spool'))).toEqual([]), { timeout: 20_000 })
  expect(new Set(leaks(42).map(({ id }) => id)).size).toBe(1)
  expect((await fetch(ready)).status).toBe(200)
  const everywhere = [...logs, ...records.map(({ text }) => text)].join('\n')
  for (const secret of [value.reveal(), digestOf(value.reveal()), githubToken.reveal()])
    expect(everywhere).not.toContain(secret)
})

test('what GitHub does not tell is reported all the same', async () => {
  const { url } = await start()
  const over = { alert: { number: 77, secret_type: 'adafruit_io_key' } }
  expect(await alert(url, over)).toBe(202)
  await vi.waitFor(() => expect(leaks(77)).toHaveLength(1), { timeout: 20_000 })
  expect(leaks(77)[0]?.data).toMatchObject({
    subject: {
      id: 'github/octo/chat/77',
      content: { where: expect.stringContaining('/secret-scanning/77') },
    },
  })
})

test('a deployment is on its topic when it is answered', async () => {
  const { url } = await start()
  const body = JSON.stringify(fluxPayload())
  expect(await post(`${url}/flux`, fluxPayload(), { 'x-signature': signature(body) })).toBe(202)
  expect(await post(`${url}/argocd`, argocdPayload(), { authorization: `Bearer ${TOKEN}` })).toBe(202)
  const seen = (name: string) => records.filter(({ topic }) => topic === changesTopic(`${name}-${run}`))
  await vi.waitFor(() => expect([seen('flux').length, seen('argocd').length]).toEqual([1, 1]), {
    timeout: 20_000,
  })
  expect(await post(`${url}/flux`, fluxPayload())).toBe(401)
})

test('without Kafka a leak is kept over a kill, a change is refused, and its health says so', async () => {
  const away = await start({ KAFKA_BROKERS: '127.0.0.1:1' })
  expect(await alert(away.url, { alert: { number: 43 } })).toBe(202)
  const body = JSON.stringify(fluxPayload())
  expect(await post(`${away.url}/flux`, fluxPayload(), { 'x-signature': signature(body) })).toBe(503)
  expect((await fetch(away.ready)).status).toBe(503)
  await away.end('SIGKILL')
  expect(leaks(43)).toEqual([])
  await start()
  await vi.waitFor(() => expect(leaks(43)).toHaveLength(1), { timeout: 20_000 })
  await vi.waitFor(() => expect(readdirSync(join(folder.dir, 'spool'))).toEqual([]), { timeout: 20_000 })
})

test('while GitHub is away a leak that configuration names goes out without its value', async () => {
  api.answer(502, `{"message":"${value.reveal()}"}`)
  const { url } = await start()
  expect(await alert(url, { alert: { number: 44 } })).toBe(202)
  await vi.waitFor(() => expect(leaks(44)).toHaveLength(1), { timeout: 20_000 })
  expect(leaks(44)[0]?.data).toMatchObject({ subject: { id: 'chat-gateway-key' } })
  expect(JSON.stringify(leaks(44)[0])).not.toContain('fingerprint')
  expect(logs.join('\n')).not.toContain(value.reveal())
})
