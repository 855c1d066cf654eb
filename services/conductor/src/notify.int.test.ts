import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Document } from '@rekey/contracts'
import { type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createDatabase } from '@rekey/local'
import { startHttpServer, type TestServer } from '@rekey/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { notifier } from './notify.ts'

const at = (kind: string, name: string, spec: object) =>
  Document.parse({ apiVersion: 'rekey.dev/v1', kind, metadata: { name }, spec })

type Post = { path: string; headers: IncomingHttpHeaders; body: Record<string, unknown> }

let receiver: TestServer
let posts: Post[]
/** What the receiver answers, by path. */
let answers: Record<string, { status: number; headers?: Record<string, string> }>
let ledger: Ledger
let database: pg.Client
let secretsDir: string
const said: unknown[] = []
const logger = { info: (...all: unknown[]) => said.push(all), warn: (...all: unknown[]) => said.push(all) }

beforeEach(async () => {
  posts = []
  answers = {}
  said.length = 0
  receiver = await startHttpServer(async (request, reply) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const path = request.url ?? ''
    posts.push({ path, headers: request.headers, body: JSON.parse(text) })
    const { status, headers } = answers[path] ?? { status: 200 }
    reply.writeHead(status, headers).end()
  })
  const name = `notify_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(url)
  ledger = openLedger({ url, name: 'conductor' })
  database = new pg.Client({ connectionString: url })
  await database.connect()
  secretsDir = mkdtempSync(join(tmpdir(), 'rekey-notify-'))
})
afterEach(async () => {
  await receiver.close()
  await database.end()
  await ledger.close()
  rmSync(secretsDir, { recursive: true })
})

const webhook = (path = '/hook', more: object = {}) => ({
  name: path.slice(1),
  kind: 'webhook',
  url: `${receiver.url}${path}`,
  ...more,
})

/** One credential of a workload whose owner has these targets. Its first value is under way, and nobody is at work. */
const configure = (targets: object[], owner = 'team-ai') =>
  ledger.configure(
    [
      at('Owner', 'team-ai', { notify: targets }),
      at('Workload', 'chat', { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner }),
      at('Credential', 'key', {
        workload: 'chat',
        purpose: 'api',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
        stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
      }),
    ],
    { apply: true, actor: 'ana' },
  )

const hold = () => ledger.submit('key-g1', { type: 'HoldAsked', actor: 'ana', reason: 'wait <!here>' }, 'ana')
const resume = () => ledger.submit('key-g1', { type: 'ResumeAsked', actor: 'ana', reason: 'go on' }, 'ana')

async function round(options: { secretsDir?: string | undefined; ledger?: Ledger } = {}): Promise<void> {
  const notices = notifier({ ledger, logger, secretsDir, ...options })
  while (await notices.round());
  await notices.idle()
}
/** Waits are long and not ours to wait for. */
const makeDue = () => database.query('update notification set due = now()')
const shown = async () => (await ledger.showRotation('key-g1')).notifications

test('an owner is told at each of its targets, in its words, of a hold and of its end', async () => {
  writeFileSync(join(secretsDir, 'slack-url'), `${receiver.url}/slack/T0/secret\n`)
  writeFileSync(join(secretsDir, 'pd-key'), 'routing-key\n')
  await configure([
    webhook(),
    { name: 'chat', kind: 'slack', secretFile: 'slack-url' },
    { name: 'pager', kind: 'pagerduty', url: `${receiver.url}/pd`, secretFile: 'pd-key' },
  ])
  await hold()
  await round()
  await resume()
  await round()
  await round()
  const to = (path: string) => posts.filter((post) => post.path === path).map(({ body }) => body)
  expect(to('/hook')).toMatchObject([
    { resolves: false, rotation: 'key-g1', credential: 'key', owner: 'team-ai', environment: 'prod' },
    { resolves: true },
  ])
  expect(to('/slack/T0/secret')).toEqual([
    { text: ':warning: key-g1 is held (human): held by ana: wait &lt;!here&gt;' },
    { text: ':white_check_mark: key-g1 is no longer held (human): resumed by ana: go on' },
  ])
  expect(to('/pd')).toMatchObject([
    { event_action: 'trigger', routing_key: 'routing-key' },
    { event_action: 'resolve', dedup_key: to('/pd')[0]?.dedup_key },
  ])
  expect((await shown()).map(({ state, attempts }) => ({ state, attempts }))).toEqual(
    Array(6).fill({ state: 'sent', attempts: 1 }),
  )
})

test('one that is away is told when it is back; others are told meanwhile, and the journal says who was not', async () => {
  await configure([webhook('/away'), webhook('/here')])
  answers['/away'] = { status: 503 }
  await hold()
  for (let attempt = 1; attempt <= 3; attempt++) {
    await round()
    await makeDue()
  }
  expect(posts.map(({ path }) => path).sort()).toEqual(['/away', '/away', '/away', '/here'])
  expect(await shown()).toMatchObject([
    { target: 'away', state: 'pending', attempts: 3, error: 'it answered 503' },
    { target: 'here', state: 'sent', error: null },
  ])
  expect(await ledger.journal({ stream: 'owner/team-ai' })).toMatchObject([
    {
      type: 'NotificationFailed',
      data: { target: 'away', rotation: 'key-g1', attempt: 3, gaveUp: false, error: 'it answered 503' },
    },
  ])
  answers = {}
  await round()
  expect(await shown()).toMatchObject([{ state: 'sent', attempts: 4, error: null }, { state: 'sent' }])
  const ids = posts.filter(({ path }) => path === '/away').map(({ headers }) => headers['idempotency-key'])
  expect(new Set(ids).size).toBe(1)
})

test('a target that hangs keeps no other one waiting', async () => {
  await receiver.close()
  const replies: (() => void)[] = []
  let here = 0
  receiver = await startHttpServer((request, reply) => {
    if (request.url === '/hangs') return void replies.push(() => reply.end())
    here++
    reply.end()
  })
  await configure([webhook('/hangs'), webhook('/here')])
  const notices = notifier({ ledger, logger })
  await hold()
  await notices.round()
  await expect.poll(() => here).toBe(1)
  await resume()
  await notices.round()
  await expect.poll(() => here).toBe(2)
  await expect.poll(() => replies.length).toBe(2)
  for (const answer of replies) answer()
  await notices.idle()
  expect((await shown()).map(({ state }) => state)).toEqual(Array(4).fill('sent'))
})

test('each is told once, however many conductors there are', async () => {
  await configure([webhook()])
  await hold()
  await resume()
  await Promise.all(Array.from({ length: 8 }, () => round()))
  await round()
  expect(posts).toHaveLength(2)
})

test('who dies before the answer is recorded is followed by somebody who sends the same under the same id', async () => {
  await configure([webhook()])
  await hold()
  const dying = { ...ledger, recordSent: () => Promise.reject(new Error('killed')) }
  await round({ ledger: dying })
  await round()
  expect(posts).toHaveLength(1)
  // Its claim ends.
  await makeDue()
  await round()
  expect(posts).toHaveLength(2)
  expect(posts[1]?.headers['idempotency-key']).toBe(posts[0]?.headers['idempotency-key'])
  expect(await shown()).toMatchObject([{ state: 'sent' }])
})

describe('it is not sent', () => {
  test('to a target that wants to hear of worse only, nor to an owner that is not configured', async () => {
    await configure([webhook('/critical', { severity: 'critical' })])
    await hold()
    await round()
    await configure([webhook()], 'somebody-else')
    await resume()
    await round()
    expect(posts).toEqual([])
    expect(await shown()).toEqual([])
  })

  test('to where a target redirects', async () => {
    await configure([webhook()])
    answers['/hook'] = { status: 307, headers: { location: '/elsewhere' } }
    await hold()
    await round()
    expect(posts.map(({ path }) => path)).toEqual(['/hook'])
    expect(await shown()).toMatchObject([{ state: 'pending', error: 'it answered 307' }])
  })

  test('to a target that was taken out meanwhile, and the journal says so', async () => {
    await configure([webhook()])
    answers['/hook'] = { status: 500 }
    await hold()
    await round()
    await configure([])
    await makeDue()
    await round()
    expect(await shown()).toMatchObject([{ state: 'failed', attempts: 2 }])
    expect(await ledger.journal({ stream: 'owner/team-ai' })).toMatchObject([{ data: { gaveUp: true } }])
  })

  test.each([
    ['is not there', undefined, 'the conductor cannot read its secret file slack-url'],
    ['holds no URL', 'tell-nobody', 'the file slack-url holds no URL that notices may go to'],
    ['sends in the clear', 'http://example.org/x', 'the file slack-url holds no URL that notices may go to'],
  ])('where the secret file %s, and it is said why, without the secret', async (_name, content, error) => {
    if (content !== undefined) writeFileSync(join(secretsDir, 'slack-url'), content)
    await configure([{ name: 'chat', kind: 'slack', secretFile: 'slack-url' }])
    await hold()
    await round()
    expect(await shown()).toMatchObject([{ state: 'pending', error }])
  })
})

test('a secret address is in no row, no journal entry and no log', async () => {
  const secret = 'T0SECRET42'
  writeFileSync(join(secretsDir, 'slack-url'), `${receiver.url}/${secret}`)
  await configure([{ name: 'chat', kind: 'slack', secretFile: 'slack-url' }])
  await receiver.close()
  await hold()
  for (let attempt = 1; attempt <= 3; attempt++) {
    await round()
    await makeDue()
  }
  const { rows } = await database.query('select * from notification')
  expect(rows).toMatchObject([{ attempts: 3, error: 'it cannot be reached (ECONNREFUSED)' }])
  const journal = await ledger.journal({})
  expect(journal.at(-1)).toMatchObject({ type: 'NotificationFailed' })
  expect(JSON.stringify([rows, journal, said])).not.toContain(secret)
  receiver = await startHttpServer(() => undefined)
})

test('of a knock with a dead key an owner is told in the words of its document, or not at all', async () => {
  await configure([webhook()])
  const knocked = async (position: number) => {
    const data = {
      credential: 'key',
      generation: 1,
      address: '203.0.113.9',
      client: null,
      declared: false,
      requests: 1,
      addresses: 1,
      nodes: ['gw-1'],
      rotation: position === 1 ? 'key-g1' : null,
    }
    await database.query(
      `with taken as (update counter set value = value + 1 where name = 'position' returning value)
       insert into journal (position, stream, seq, type, data, actor)
       select value, 'credential/key', $1, 'DeadKeyUsed', $2, 'fleet' from taken`,
      [position, JSON.stringify(data)],
    )
    await round()
  }
  await knocked(1)
  await ledger.configure([at('Owner', 'team-ai', { notify: [webhook()], knocks: 'critical' })], {
    apply: true,
    actor: 'ana',
  })
  await knocked(2)
  await ledger.configure([at('Owner', 'team-ai', { notify: [webhook()], knocks: 'off' })], {
    apply: true,
    actor: 'ana',
  })
  await knocked(3)
  expect(posts.map(({ body }) => body)).toMatchObject([
    { severity: 'warning', credential: 'key', rotation: 'key-g1', about: 'key/knock/1/203.0.113.9' },
    { severity: 'critical', rotation: 'credential/key' },
  ])
  expect(await shown()).toMatchObject([{ state: 'sent' }])
})
