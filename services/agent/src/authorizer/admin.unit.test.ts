import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '../adapters/key-map.ts'
import { adminServer } from './admin.ts'
import { Keys } from './keys.ts'
import { questionServer } from './questions.ts'
import { Uses } from './uses.ts'

let dir: string
let keys: Keys
let servers: Server[]
let admin: string
let question: string
const logged: object[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-admin-'))
  keys = await Keys.load(join(dir, 'keys.json'))
  const counted = new Uses({ longestMs: 1_000, now: () => performance.now() })
  servers = [
    adminServer(keys, counted, { error: (line: object) => logged.push(line) }),
    questionServer(keys, counted),
  ]
  const [first, second] = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    }),
  )
  admin = first ?? ''
  question = second ?? ''
})
afterEach(async () => {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
  await rm(dir, { recursive: true, force: true })
})

const put = (path: string, body: unknown) =>
  fetch(admin + path, { method: 'PUT', body: JSON.stringify(body) }).then((r) => r.status)
const asked = (headers: Record<string, string>, credential = 'chat') =>
  fetch(question, { headers: { ...headers, 'x-rekey-credential': credential } }).then((r) => [
    r.status,
    r.headers.get('x-rekey-key-id'),
  ])
const uses = () => fetch(`${admin}/credentials/chat/uses`).then((r) => r.json())

const [LIVE, DEAD] = ['a-live-key', 'a-dead-key']

test('what the agent put is what is accepted, in both ways in which clients send a key', async () => {
  expect(await put('/credentials/chat/keys', {})).toBe(204)
  expect(await asked({ 'x-api-key': LIVE })).toEqual([401, null])
  expect(await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })).toBe(204)
  for (const headers of [{ 'x-api-key': LIVE }, { authorization: `Bearer ${LIVE}` }])
    expect(await asked(headers)).toEqual([200, 'chat.g2'])
  expect(await asked({ authorization: `Basic ${LIVE}` })).toEqual([401, null])
  expect(await asked({})).toEqual([401, null])

  const again = await Keys.load(join(dir, 'keys.json'))
  expect(again.find('chat', digestOf(LIVE))).toEqual({ part: 'keys', keyId: 'chat.g2' })
  expect(await readFile(join(dir, 'keys.json'), 'utf8')).not.toContain(LIVE)
})

test('credentials keep out of each other’s way', async () => {
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })
  await put('/credentials/chat-2/keys', { [digestOf(DEAD)]: 'chat-2.g1' })
  await put('/credentials/chat-2/keys', {})
  expect(await asked({ 'x-api-key': LIVE })).toEqual([200, 'chat.g2'])
  // The key of one opens nothing that is another one's.
  expect(await asked({ 'x-api-key': LIVE }, 'chat-2')).toEqual([401, null])
  expect(await asked({ 'x-api-key': DEAD }, 'chat-2')).toEqual([401, null])
})

test('of a credential that nobody has told of it says so, and asks to be asked again', async () => {
  expect(await asked({ 'x-api-key': LIVE })).toEqual([503, null])
  expect((await fetch(question)).status).toBe(400)
  // As an agent does whose authorizer has lost its file: it looks after the dead ones first.
  expect(await put('/credentials/chat/graves', { [digestOf(DEAD)]: 'chat.g1' })).toBe(409)
  expect(await asked({ 'x-api-key': LIVE })).toEqual([503, null])
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })
  // Without a file it cannot know what ran with this key before.
  expect(await uses()).toMatchObject({ keys: [{ keyId: 'chat.g2', inFlight: 1, requests: 0 }] })
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2', [digestOf(DEAD)]: 'chat.g3' })
  expect(await uses()).toMatchObject({ keys: [{ inFlight: 1 }, { keyId: 'chat.g3', inFlight: 0 }] })
})

test('what is dropped is refused though the file cannot be written, and is not taken in again', async () => {
  const both = { [digestOf(LIVE)]: 'chat.g2', [digestOf(DEAD)]: 'chat.g1' }
  await put('/credentials/chat/keys', both)
  await rm(dir, { recursive: true })
  const answers = await Promise.all([
    put('/credentials/chat/keys', both),
    put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' }),
  ])
  expect(answers[1]).toBe(500)
  expect(logged.at(-1)).toEqual({ code: 'ENOENT' })
  expect(await asked({ 'x-api-key': DEAD })).toEqual([401, null])
  expect(await asked({ 'x-api-key': LIVE })).toEqual([200, 'chat.g2'])
})

test('a file that somebody changed or took away is written again when the agent looks', async () => {
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })
  const right = await readFile(join(dir, 'keys.json'), 'utf8')
  for (const harm of [() => rm(join(dir, 'keys.json')), () => writeFile(join(dir, 'keys.json'), '{}')]) {
    await harm()
    await fetch(`${admin}/credentials/chat/keys`)
    expect(await readFile(join(dir, 'keys.json'), 'utf8')).toBe(right)
  }
})

test('a request with more headers than Node.js takes by itself is judged', async () => {
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })
  expect(await asked({ 'x-api-key': LIVE, cookie: 'c'.repeat(32 * 1024) })).toEqual([200, 'chat.g2'])
})

test('a dead key is refused as any other string, and noticed; one that is accepted again is no dead one', async () => {
  await put('/credentials/chat/keys', {})
  await put('/credentials/chat/graves', { [digestOf(DEAD)]: 'chat.g1' })
  expect(await asked({ 'x-api-key': DEAD, 'x-rekey-client': '::ffff:10.0.0.7' })).toEqual([401, null])
  expect(await uses()).toMatchObject({
    keys: [],
    knocks: [{ keyId: 'chat.g1', address: '10.0.0.7', requests: 1 }],
  })
  await put('/credentials/chat/keys', { [digestOf(DEAD)]: 'chat.g1' })
  expect(await asked({ 'x-api-key': DEAD })).toEqual([200, 'chat.g1'])
})

test('what is not understood changes nothing, and is said', async () => {
  await put('/credentials/chat/keys', { [digestOf(LIVE)]: 'chat.g2' })
  expect(await put('/credentials/chat/keys', { nonsense: 'chat.g2' })).toBe(400)
  expect(await put('/credentials/chat/keys', { [digestOf(DEAD)]: 'a\nb' })).toBe(400)
  expect(await put('/credentials/chat/keys', 'x'.repeat(2 * 1024 * 1024))).toBe(400)
  expect(await put('/credentials/chat/uses', {})).toBe(405)
  expect(await put('/credentials/../keys', {})).toBe(404)
  expect(await fetch(`${admin}/credentials/chat/keys`).then((r) => r.json())).toEqual({
    [digestOf(LIVE)]: 'chat.g2',
  })
})
