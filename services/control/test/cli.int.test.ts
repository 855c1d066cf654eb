import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlClient } from '@rekey/cli'
import { Secret } from '@rekey/contracts'
import { decode, digest, isLeak, newEvent, toChange } from '@rekey/events'
import { createTopics } from '@rekey/local'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { DOCUMENTS, type GivenControl, givenControl, TOKEN } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

/** The command line as its own process, against control over HTTP and events over Kafka. */
const MAIN = new URL('./main.ts', import.meta.resolve('@rekey/cli'))

// Every verb is a process of its own, and each takes a second of the processor.
vi.setConfig({ testTimeout: 180_000 })

let control: GivenControl
let dir: string
const ends: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  control = await givenControl()
  dir = mkdtempSync(join(tmpdir(), 'rekey-cli-'))
  writeFileSync(join(dir, 'token'), TOKEN)
  ends.push(
    () => control.close(),
    async () => rmSync(dir, { recursive: true }),
  )
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function rekey(...argv: string[]): Promise<{ exit: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN.pathname, ...argv], {
    env: {
      PATH: process.env.PATH,
      REKEY_URL: control.url,
      REKEY_TOKEN_FILE: join(dir, 'token'),
      KAFKA_BROKERS: inject('stack').kafkaBrokers.join(','),
      USER: 'ana',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  return new Promise((resolve) => child.on('close', (exit) => resolve({ exit, out, err })))
}

function work(options?: Parameters<typeof scriptedWorkers>[1]) {
  const workers = scriptedWorkers(control.ledger, options)
  ends.push(() => workers.stop())
  return workers
}

const documents = () => {
  const path = join(dir, 'documents.yaml')
  writeFileSync(path, DOCUMENTS.map((document) => JSON.stringify(document, undefined, 2)).join('\n---\n'))
  return path
}

async function configured() {
  await control.post('configuration', { documents: DOCUMENTS, apply: true })
}

test('apply, watch, diff, list and show', async () => {
  const path = documents()
  expect(await rekey('diff', path)).toMatchObject({
    exit: 2,
    out: expect.stringContaining('+ Credential key'),
  })
  const applied = await rekey('apply', path)
  expect(applied).toMatchObject({ exit: 0, out: expect.stringContaining('first value: rekey watch key-g1') })
  work()
  const watched = await rekey('watch', 'key-g1')
  expect(watched.exit).toBe(0)
  expect(watched.out).toMatch(
    /Planned: generation 1 will be the first value of key[\s\S]*key-g1 closed: generation 1 is current in every store/,
  )
  expect(await rekey('diff', path)).toMatchObject({ exit: 0, out: '0 new, 0 changed, 3 unchanged\n' })
  expect((await rekey('list')).out).toMatch(/key +chat +prod +team +1 +1 live +-/)
  expect((await rekey('show', 'key-g1')).out).toMatch(/phase +Closed/)
  expect((await rekey('list', 'rotations')).out).toMatch(/key-g1 +rotate +Closed/)
})

test('the examples of this repository are accepted', async () => {
  const examples = new URL('../../../examples/chat-gateway', import.meta.url).pathname
  expect(await rekey('apply', examples)).toMatchObject({ exit: 0, err: '' })
  const event = new URL('../../../examples/events/zonechanged.json', import.meta.url).pathname
  expect(await rekey('rules', 'test', event)).toMatchObject({
    exit: 0,
    out: expect.stringContaining('rule rotate-on-zone-change rotates chat-gateway-key'),
  })
})

test('a typo in YAML names file, line and field, and nothing is applied', async () => {
  const path = join(dir, 'typo.yaml')
  writeFileSync(
    path,
    'apiVersion: rekey.dev/v1\nkind: Workload\nmetadata:\n  name: chat\nspec:\n  spiffeId: spiffe://example.org/chat\n  enviroment: prod\n  owner: team\n',
  )
  const { exit, err } = await rekey('apply', documents(), path)
  expect(exit).toBe(1)
  expect(err).toContain(`${path}:7: Workload chat: spec.enviroment: there is no such field`)
  expect(err).toContain(`${path}:5: Workload chat: spec.environment: is missing`)
  expect(await control.ledger.listCredentials()).toEqual([])
})

test('rotate --wait exits with 0 when the old value is dead, and with 20 when it was called off', async () => {
  await configured()
  const workers = work()
  await rekey('watch', 'key')
  const closed = await rekey('rotate', 'key', '--reason', 'contractor left', '--wait')
  expect(closed).toMatchObject({ exit: 0, err: '' })
  expect(closed.out).toContain('(ordered by operator/ana: contractor left)')
  expect(closed.out).toContain('probe: generation 1 is refused at gw (401; the value in use: accepted)')
  await workers.stop()

  const waiting = rekey('rotate', 'key', '--reason', 'again', '--wait', '--json')
  await expect.poll(async () => (await control.ledger.listRotations({})).length, { timeout: 60_000 }).toBe(3)
  expect((await rekey('rollback', 'key-g3', '--reason', 'mistake')).exit).toBe(0)
  work()
  const { exit, out } = await waiting
  expect(exit).toBe(20)
  expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toMatchObject({ end: 'cancelled', exit: 20 })
  expect(await rekey('rollback', 'key-g3', '--reason', 'x')).toMatchObject({
    exit: 1,
    err: expect.stringContaining('the rotation has ended (cancelled)'),
  })
})

test('contain --wait and retire --wait exit with 0 when what had to die is dead', async () => {
  await configured()
  work()
  await rekey('watch', 'key')
  const contained = await rekey('contain', 'key', '--reason', 'in a log', '--generation', 'g1', '--wait')
  expect(contained).toMatchObject({ exit: 0, err: '' })
  expect(contained.out).toContain('key-g2 opened: what leaked is being revoked now')
  expect(contained.out).toContain('contain: generation 1 leaked (ordered by operator/ana: in a log)')
  expect(contained.out).toContain('contain: neither proofs nor a drain are waited for')
  expect(contained.out).toContain('key-g2 closed: the old value is proved dead')
  expect((await rekey('show', 'key-g2')).out).toMatch(/mode +contain[\s\S]*leaked +1/)
  const retired = await rekey('retire', 'key', '--reason', 'shut down', '--wait')
  expect(retired).toMatchObject({ exit: 0, err: '' })
  expect(retired.out).toContain('key-g2-end closed: generation 2 is proved dead, and none follows')
  expect(await rekey('expedite', 'key', '--reason', 'x')).toMatchObject({
    exit: 1,
    err: expect.stringContaining('it was offboarded'),
  })
})

test('a hold that lasts ends the wait with 30, and resume makes it go on', async () => {
  await configured()
  const broken = work({ breaks: 'stage' })
  expect(await rekey('watch', 'key-g1', '--hold-grace', '300ms')).toMatchObject({
    exit: 30,
    out: expect.stringContaining('HELD: effect failed: permission_denied: as scripted'),
  })
  await broken.stop()
  expect(await rekey('watch', 'key-g1', '--timeout', '300ms')).toMatchObject({ exit: 40 })
  work()
  expect((await rekey('resume', 'key-g1', '--reason', 'granted')).exit).toBe(0)
  expect((await rekey('watch', 'key-g1')).exit).toBe(0)
})

describe('event send --wait', () => {
  let emitter: string
  const send = (file: string, ...more: string[]) =>
    rekey('event', 'send', file, '--emitter', emitter, '--wait', ...more)
  const event = (id: string, zone: string, workload = 'chat') => {
    const made = newEvent(
      { type: 'zonechanged', workload, environment: 'prod', facts: { zone } },
      { id, source: '/ci', at: new Date('2026-11-21T10:00:00Z') },
    )
    const { extensions, ...rest } = made
    const path = join(dir, `${id}-${zone}.json`)
    writeFileSync(path, JSON.stringify({ ...rest, ...extensions }))
    return path
  }

  beforeEach(async () => {
    emitter = `t${crypto.randomUUID().slice(0, 8)}`
    const brokers = inject('stack').kafkaBrokers
    const topic = `rekey.changes.${emitter}.v1`
    await createTopics({ kafka: { brokers } }, [topic])
    await configured()
    // Stands for intake.
    const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING })
    const consumer = kafka.consumer({ groupId: emitter, sessionTimeout: 30_000 })
    ends.push(() => consumer.disconnect())
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      async eachMessage({ message }) {
        const decoded = decode({ key: message.key, value: message.value, headers: message.headers ?? {} })
        const result = decoded.ok ? toChange(decoded.event) : decoded
        if (!decoded.ok || !result.ok) return
        const { change } = result
        expect(message.key?.toString()).toBe(isLeak(change) ? change.credential : change.workload)
        const { id, source } = decoded.event
        await control.ledger.receive({
          id,
          source,
          digest: digest(decoded.event),
          emitter,
          change,
        })
      },
    })
  })

  test('exits with the outcome of the rotation, and of the same one when it is sent again', async () => {
    work()
    await rekey('watch', 'key')
    const first = await send(event('e-1', 'b'))
    expect(first).toMatchObject({ exit: 0, err: '' })
    expect(first.out).toContain('rotation-opened: chat changed: zone a → b')
    expect(first.out).toContain('key-g2 closed: the old value is proved dead')
    const again = await send(event('e-1', 'b'))
    expect(again).toMatchObject({
      exit: 0,
      err: '',
      out: expect.stringContaining('this event was judged before: rotation-opened'),
    })
    expect(again.out).toContain('key-g2 closed: the old value is proved dead')
    expect(again.out).not.toContain('Planned:')
    expect(await control.ledger.listRotations({})).toHaveLength(2)
    expect(await send(event('e-1', 'c'))).toMatchObject({
      exit: 1,
      err: expect.stringContaining('used before with other content'),
    })
  })

  test('exits with 10 and says why when nothing rotates', async () => {
    expect(await send(event('e-2', 'a'))).toMatchObject({
      exit: 10,
      out: expect.stringContaining('no-change: nothing in it differs'),
    })
    expect(await send(event('e-3', 'b', 'nobody'))).toMatchObject({
      exit: 10,
      out: expect.stringContaining('unknown-workload'),
    })
  })

  test('a topic that is not there is an error with a remedy', async () => {
    expect(await rekey('event', 'send', event('e-4', 'b'), '--emitter', 'nobody')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('Kafka has no topic rekey.changes.nobody.v1'),
    })
  })
})

test('control itself starts from its environment, and ends at SIGTERM with a watch open', async () => {
  await configured()
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: control.databaseUrl,
      CONTROL_PORT: '0',
      CONTROL_TOKEN_FILE: join(dir, 'token'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk) => {
      log += chunk
      const line = log.split('\n').find((text) => text.includes('"msg":"control started"'))
      if (line) resolve(JSON.parse(line).url)
    })
  })
  const client = new ControlClient({ url, token: Secret.of(TOKEN), actor: 'ana' })
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  const watching = client.watch('key-g1')
  expect((await watching.next()).value).toMatchObject({ type: 'entry', entry: { type: 'RotationOpened' } })
  await watching.return(undefined)
  const open = await fetch(`${url}/v1/rotations/key-g1/watch`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)))
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  await open.text().catch(() => undefined)
  expect(log).not.toContain(TOKEN)
})
