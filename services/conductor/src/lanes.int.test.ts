import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Document } from '@rekey/contracts'
import { type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createDatabase, type Stack, startStack } from '@rekey/local'
import { startWorker } from '@rekey/queues'
import { createLogger } from '@rekey/runtime'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'

/** The real conductor before a worker whose routine slots are all taken, and more routine effects than a page has. */
let stack: Stack
let ledger: Ledger
let url: string
let closers: (() => Promise<unknown>)[]

const SLOTS = 2
const BACKLOG = 1_200

const documents = ['leaked', 'begun'].flatMap((name) =>
  [
    {
      kind: 'Workload',
      metadata: { name: `${name}-chat` },
      spec: { spiffeId: `spiffe://example.org/${name}`, environment: 'prod', owner: 'team', zone: 'a' },
    },
    {
      kind: 'Credential',
      metadata: { name },
      spec: {
        workload: `${name}-chat`,
        purpose: 'api',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
        stores: [{ name: 'vault', kind: 'vault-kv', path: `a/${name}` }],
        rollout: { settleMs: 0 },
      },
    },
  ].map((document) => Document.parse({ apiVersion: 'rekey.dev/v1', ...document })),
)

beforeEach(async () => {
  stack = await startStack({ only: ['redis'], own: true })
  closers = [() => stack.stop()]
  url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `lanes_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  closers.push(() => ledger.close())
})
afterEach(async () => {
  for (const close of closers.reverse()) await close()
})

/** Routine effects that have been due for longer than anything else, of one rotation whose rows are written here. */
async function writeBacklog(): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`
    insert into workload (name, spec, known) values ('chat', '{}', '{}');
    insert into credential (name, workload, purpose, spec) values ('key', 'chat', 'api', '{}');
    insert into rotation (id, credential, state, spec)
      values ('key-g1', 'key', '{"id":"key-g1","credential":"key","mode":"rotate"}', '{}');
    insert into effect (key, rotation, kind, epoch, spec, due)
      select 'backlog-' || n, 'key-g1', 'stage', 0, '{}', now() - interval '1 minute' from generate_series(1, ${BACKLOG}) n`)
  await client.end()
}

async function startConductor(): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, DATABASE_URL: url, REDIS_URL: stack.redis.url, REKEY_RESEND_MS: '600000' },
  })
  const exited = once(child, 'exit')
  closers.push(() => {
    child.kill('SIGTERM')
    return exited
  })
  const started = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (JSON.parse(line).msg === 'conductor started') started.resolve()
  })
  exited.then(() => started.reject(new Error('the conductor ended')))
  await started.promise
}

/** A worker whose routine work never ends before the test does. `taken` has what it has begun, by lane. */
function startWorking() {
  const logger = createLogger({ service: 'test' })
  logger.level = 'silent'
  const gate = Promise.withResolvers<void>()
  const taken = { emergency: [] as string[], routine: [] as string[] }
  const take = async (effect: string, lane: 'emergency' | 'routine') => {
    taken[lane].push(effect)
    const leased = await ledger.lease(effect, 'test', 60_000)
    if (leased && lane === 'routine') await gate.promise
  }
  const worker = startWorker({
    redisUrl: stack.redis.url,
    queue: 'rotator',
    concurrency: SLOTS,
    reserved: 1,
    handler: (job, lane) => take(job.effect, lane),
    direct: {
      look: (wanted) => ledger.unattended({ ...wanted, worker: 'rotator' }),
      take,
      onNews: ledger.onEffects,
    },
    logger,
  })
  closers.push(() => {
    gate.resolve()
    return worker.close()
  })
  return taken
}

const expedite = (credential: string) =>
  ledger.start(credential, {
    cause: { kind: 'leak', actor: 'anna', reason: 'seen in a paste' },
    mode: 'expedite',
    goal: 'replace',
    compromised: [],
  })

describe('with every routine slot taken, and more routine work waiting than a page holds', () => {
  test('an emergency is woken for and taken', async () => {
    await writeBacklog()
    await startConductor()
    const taken = startWorking()
    await expect.poll(() => taken.routine.length, { timeout: 10_000 }).toBe(SLOTS)
    await ledger.configure(documents, { apply: true, actor: 'test' })
    await expedite('leaked')
    await expect.poll(() => taken.emergency, { timeout: 10_000 }).toContain('leaked-g1.stage.vault-g1')
    expect(taken.routine).toHaveLength(SLOTS)
  })

  test('an emergency is taken from the ledger while Redis is away', async () => {
    await stack.servers.redis.kill()
    await writeBacklog()
    await startConductor()
    const taken = startWorking()
    await expect.poll(() => taken.routine.length, { timeout: 10_000 }).toBe(SLOTS)
    await ledger.configure(documents, { apply: true, actor: 'test' })
    await expedite('leaked')
    await expect.poll(() => taken.emergency, { timeout: 10_000 }).toContain('leaked-g1.stage.vault-g1')
    expect(taken.routine).toHaveLength(SLOTS)
  })

  test('a routine rotation whose wake-ups wait behind the others is taken once it is raised', async () => {
    await writeBacklog()
    await startConductor()
    const taken = startWorking()
    await expect.poll(() => taken.routine.length, { timeout: 10_000 }).toBe(SLOTS)
    await ledger.configure(documents, { apply: true, actor: 'test' })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    closers.push(() => client.end())
    // Its wake-up was sent, to where nobody comes to it: with the pause before the next one, it is not sent again.
    await expect
      .poll(
        async () =>
          (await client.query("select relays from effect where key = 'begun-g1.stage.vault-g1'")).rows[0]
            ?.relays,
        { timeout: 10_000 },
      )
      .toBe(1)
    expect(taken.emergency).toEqual([])
    await expedite('begun')
    await expect.poll(() => taken.emergency, { timeout: 10_000 }).toContain('begun-g1.stage.vault-g1')
    expect(taken.routine).toHaveLength(SLOTS)
  })
})
