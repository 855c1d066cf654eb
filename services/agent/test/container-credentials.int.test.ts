import { randomUUID } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  type IAMClient,
  ListAccessKeysCommand,
} from '@aws-sdk/client-iam'
import { Secret, type UsageMessage } from '@rekey/contracts'
import { adminIam, freePort } from '@rekey/local'
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest'
import { startNodeAt } from './node-bench.ts'
import { type SdkClients, startJavaScriptClients, startPythonClients } from './sdk-clients.ts'
import { until } from './until.ts'

const stack = inject('stack')
const aws = {
  endpoint: stack.awsEndpoint,
  region: stack.awsRegion,
  adminCredentialsFile: stack.awsCredentialsFile,
}
/** JavaScript's SDK asks 300 s before the end, so here shortly after it was given a key. Python's asks before each call. */
const TTL_MS = 300_300
const UserName = `agent-${randomUUID()}`
const made = new Map<number, { id: string; text: string }>()

let iam: IAMClient
let node: Awaited<ReturnType<typeof startNodeAt>>
let port: number
const tokenFile = join(tmpdir(), `rekey-token-${randomUUID()}`)
const agentEnv = { AWS_ENDPOINT_URL: aws.endpoint, AWS_REGION: aws.region }
const place = () => ({ ...aws, fullUri: `http://127.0.0.1:${port}/credentials`, tokenFile })
/** What the endpoint answers to who has the token. */
const status = async () =>
  fetch(place().fullUri, { headers: { authorization: await readFile(tokenFile, 'utf8') } }).then(
    (answer) => answer.status,
    () => 'nobody' as const,
  )
const handsOut = () => until('it hands out', async () => (await status()) === 200)
const idOf = (generation: number) => made.get(generation)?.id ?? ''

/** A generation is a new key of the user, who may have two. */
async function make(generation: number): Promise<void> {
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }))
  const id = AccessKey?.AccessKeyId ?? ''
  const key = { Version: 1, AccessKeyId: id, SecretAccessKey: AccessKey?.SecretAccessKey }
  made.set(generation, { id, text: JSON.stringify(key) })
}
const end = (AccessKeyId: string) => iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }))

beforeAll(async () => {
  iam = await adminIam(aws)
  await iam.send(new CreateUserCommand({ UserName }))
  port = await freePort()
  node = await startNodeAt(
    { adapter: { kind: 'container-credentials', port, tokenFile, ttlMs: TTL_MS }, stop: async () => {} },
    undefined,
    (generation) => Secret.of(made.get(generation)?.text ?? 'none'),
  )
  node.start(agentEnv)
})
afterAll(async () => {
  await node?.stop()
  await rm(tokenFile, { force: true })
  const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }))
  for (const { AccessKeyId = '' } of AccessKeyMetadata) await end(AccessKeyId)
  await iam.send(new DeleteUserCommand({ UserName }))
  iam.destroy()
})

/** In order: each test goes on where the one before it ended. */
test('ten changes under 16 clients of two SDKs fail no call, and each follows', async () => {
  await make(1)
  await node.acked(node.order([1]))
  let acked = 1
  const old: string[] = []
  const js = startJavaScriptClients(place(), 12, () => {
    const since = acked
    return (id) => {
      if (id === idOf(since - 1)) old.push(id)
    }
  })
  const python = await startPythonClients(place(), 4)
  const all: SdkClients[] = [js, python]
  const everybodyHas = (generation: number) =>
    until(`all have generation ${generation}`, () => {
      const shown = all.flatMap(({ keys }) => [...keys.values()])
      return shown.length === 16 && shown.every((id) => id === idOf(generation))
    })
  await everybodyHas(1)
  for (let generation = 2; generation <= 11; generation += 1) {
    await make(generation)
    await node.acked(node.order([generation - 1, generation], { floor: generation - 1 }))
    acked = generation
    await everybodyHas(generation)
    await end(idOf(generation - 1))
    const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
    expect(ack.proofs).toMatchObject([{ generation, tried: 'accepted' }])
  }
  const tallies = await Promise.all(all.map((one) => one.stop()))
  expect(tallies.flatMap(({ failures }) => failures)).toEqual([])
  for (const { ok } of tallies) expect(ok).toBeGreaterThan(20)
  // Nor was anybody who asked after an ack given the key from before.
  expect(old).toEqual([])
  const calls = tallies.map(({ ok }) => ok).join(' + ')
  process.stderr.write(`container credentials: ${calls} calls of JavaScript + Python, 0 failed\n`)
})

test('what was handed out counts as in use until its end, and after a restart what was before may be, too', async () => {
  const last = () => node.fleet.messages.findLast((m): m is UsageMessage => m.type === 'usage')
  const session = () => last()?.session
  const before = session()
  expect(await status()).toBe(200)
  await until('counted', () => (last()?.generations.find((g) => g.generation === 11)?.inFlight ?? 0) > 0)
  expect(last()?.generations.find((g) => g.generation === 11)).toMatchObject({ lastUseAgeMs: 0 })
  await node.kill()
  node.start(agentEnv)
  const { generations } = await until('told again', () => {
    const report = last()
    return report?.session !== before && report?.generations.some((g) => g.generation === 10) && report
  })
  // Nobody has asked this agent for either.
  for (const { inFlight, lastUseAgeMs } of generations) {
    expect(inFlight).toBe(0)
    expect(lastUseAgeMs).toBeLessThan(TTL_MS / 2)
  }
})

test('the token is kept over restarts, for the owner only, and no key is in a log or a message', async () => {
  const token = await readFile(tokenFile, 'utf8')
  expect((await stat(tokenFile)).mode & 0o777).toBe(0o600)
  await handsOut()
  expect(await readFile(tokenFile, 'utf8')).toBe(token)
  expect((await fetch(place().fullUri)).status).toBe(401)
  const said = [...node.logs(), JSON.stringify(node.fleet.messages)].join('\n')
  expect(said).not.toContain(token)
  for (const { text } of made.values()) expect(said).not.toContain(JSON.parse(text).SecretAccessKey)
})

test('with Vault away a running agent goes on, and one that starts has nothing to hand out until it is back', async () => {
  await handsOut()
  node.vault.mode.away = true
  expect(await status()).toBe(200)
  expect(await node.kill('SIGTERM')).toBe(0)
  expect(await status()).toBe('nobody')
  node.start(agentEnv)
  const revision = node.order([11], { floor: 11 })
  await until('the nack', () =>
    node.fleet.messages.some(
      (m) => m.type === 'nack' && m.revision === revision && m.reason === 'store_unreachable',
    ),
  )
  expect(await status()).toBe('nobody')
  node.vault.mode.away = false
  await node.acked(revision)
  expect(await status()).toBe(200)
})

test('a port that somebody else has is said so, and taken when it is free', async () => {
  await node.kill()
  const squatter = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => squatter.once('listening', resolve))
  node.start(agentEnv)
  const revision = node.order([11], { floor: 11 })
  const nack = await until('the nack', () => {
    const found = node.fleet.messages.find((m) => m.type === 'nack' && m.revision === revision)
    return found?.type === 'nack' && found
  })
  expect(nack).toMatchObject({ reason: 'adapter_failed', detail: expect.stringContaining(`port ${port}`) })
  await new Promise((resolve) => squatter.close(resolve))
  await node.acked(revision)
})

test('an agent that is killed in the middle of a change fails no call, and goes on with it', async () => {
  const [own, secondPort] = [`${tokenFile}-2`, await freePort()]
  // With the time that SDKs have by default: they have keys for minutes.
  const adapter = { kind: 'container-credentials', port: secondPort, tokenFile: own }
  const second = await startNodeAt({ adapter, stop: async () => {} }, undefined, (generation) =>
    Secret.of(made.get(generation)?.text ?? 'none'),
  )
  onTestFinished(async () => {
    await second.stop()
    await rm(own, { force: true })
  })
  second.start(agentEnv)
  await second.acked(second.order([11]))
  const there = { ...aws, fullUri: `http://127.0.0.1:${secondPort}/credentials`, tokenFile: own }
  const running = [startJavaScriptClients(there, 12, () => () => {}), await startPythonClients(there, 4)]
  await until('all call', () => running.reduce((sum, { keys }) => sum + keys.size, 0) === 16)
  await make(12)
  const revision = second.order([11, 12])
  await second.kill()
  second.start(agentEnv)
  await second.acked(revision)
  const later = startJavaScriptClients(there, 1, () => () => {})
  await until('a new application has the new key', () => later.keys.get('js 0') === idOf(12))
  const tallies = await Promise.all([...running, later].map((one) => one.stop()))
  expect(tallies.flatMap(({ failures }) => failures)).toEqual([])
})
