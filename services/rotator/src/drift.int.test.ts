import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectSecretsManager, secretsManagerStore } from '@rekey/backend-aws'
import { connectVault, vaultFingerprints, vaultKvStore, withToken } from '@rekey/backend-vault'
import { type Document, Document as DocumentSchema, digestOf, Secret } from '@rekey/contracts'
import type { EffectResult } from '@rekey/core'
import { type Leased, type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createDatabase } from '@rekey/local'
import { plantedSecret } from '@rekey/testing'
import { afterAll, afterEach, beforeEach, expect, inject, test } from 'vitest'
import { act } from './act.ts'
import { watchDrift } from './drift.ts'
import { nodesAuthority } from './nodes-authority.ts'

const { vaultAddr, vaultRootToken, awsEndpoint, awsRegion, identitiesDir, postgresUrl } = inject('stack')
const mine = (name: string) => join(identitiesDir, 'rotator', name)
const vault = connectVault({
  addr: vaultAddr,
  roleId: readFileSync(mine('vault-role-id'), 'utf8').trim(),
  secretIdFile: mine('vault-secret-id'),
})
const aws = connectSecretsManager({
  region: awsRegion,
  endpoint: awsEndpoint,
  credentialsFile: mine('aws-credentials'),
})
/** Whoever may do everything in Vault, by hand. */
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
const fingerprints = vaultFingerprints(vault)
afterAll(() => {
  for (const one of [vault, aws, root]) one.close()
})

const apiVersion = 'rekey.dev/v1'
const documents = (path: string): Document[] =>
  [
    {
      apiVersion,
      kind: 'Workload',
      metadata: { name: 'chat' },
      spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team' },
    },
    {
      apiVersion,
      kind: 'Credential',
      metadata: { name: 'key' },
      spec: {
        workload: 'chat',
        purpose: 'api',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
        stores: [
          { name: 'vault', kind: 'vault-kv', path },
          { name: 'aws', kind: 'aws-secrets-manager', region: awsRegion, secretId: path },
        ],
        rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, evidenceMs: 60_000 },
      },
    },
  ].map((d) => DocumentSchema.parse(d))

let ledger: Ledger
let path: string
let session: number
let watch: { close(): Promise<void> }
const said: object[] = []
const logger = {
  info: () => undefined,
  warn: (about: object) => said.push(about),
  error: (about: object) => said.push(about),
} as never

const stores = () => [
  { name: 'vault', store: vaultKvStore(vault, { mount: 'secret', path }) },
  { name: 'aws', store: secretsManagerStore(aws, { secretId: path }) },
]
const authority = nodesAuthority({
  kind: 'nodes',
  endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }],
  refusals: [401],
})

beforeEach(async () => {
  path = `drift/${randomUUID()}`
  const url = await createDatabase(
    { postgres: { url: postgresUrl } },
    `drift_${randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  await ledger.configure(documents(path), { apply: true, actor: 'ana' })
  const { token } = await ledger.createJoinToken({
    node: 'gw-1',
    workload: 'chat',
    ttlMs: 60_000,
    actor: 'test',
  })
  await ledger.fleet.redeemJoinToken('gw-1', token)
  session = (await ledger.fleet.openSession({ node: 'gw-1', boot: 'b', instance: 'i' })).session
  await untilEnded('key-g1')
  said.length = 0
  watch = watchDrift({ ledger, stores, fingerprints, everyMs: 0, worker: 'rotator', logger })
})
afterEach(async () => {
  await watch.close()
  await ledger.close()
})

/** Conductor, fleet, one node and the audit topic, as a test plays them: what is done in the stores is done for real. */
async function turn(rotation: string): Promise<void> {
  await ledger.fireTimers('test')
  for (const { key } of await ledger.takeWaiting(0)) {
    const leased = await ledger.lease(key, 'test', 30_000)
    if (leased) await ledger.complete(leased, await done(leased), 'test')
  }
  const node = 'gw-1'
  const desired = (await ledger.fleet.desiredStates([node])).get(node) ?? []
  await ledger.fleet.recordAcks(
    desired.map(({ credential, revision, accept }) => ({
      node,
      session,
      credential,
      revision,
      proved: accept.map(({ generation }) => generation),
      refusals: [],
    })),
  )
  await ledger.fleet.recordUsage([{ type: 'usage', node, session, credential: 'key', generations: [] }])
  for (const { type, data } of await ledger.journal({ stream: `rotation/${rotation}` }))
    if (type === 'RevocationAnnounced') {
      const generation = Number(data.generation)
      await ledger.submit(rotation, { type: 'AuditAcknowledged', generation }, 'auditor')
    }
}

async function untilEnded(rotation: string): Promise<void> {
  await expect
    .poll(
      async () => {
        await turn(rotation)
        return (await ledger.showRotation(rotation)).outcome
      },
      { timeout: 30_000, interval: 20 },
    )
    .toBe('closed')
  for (const of of await ledger.unfingerprinted(10)) {
    const kept = await stores()[0]?.store.read(of.generation, call('fingerprint'))
    const [made] = kept ? await fingerprints.of([digestOf(kept.value.reveal())]) : []
    if (made) await ledger.recordFingerprint(of, made)
  }
}

async function done(leased: Leased): Promise<EffectResult> {
  const { effect } = leased
  if (effect.kind === 'probe') {
    const verdict = effect.purpose === 'baseline' ? 'accepted' : 'refused'
    return { kind: 'probe', results: [{ endpoint: 'gw', verdict, seen: '', control: 'accepted' }] }
  }
  if (effect.kind === 'deliver') return { kind: 'deliver' }
  return act(leased, { stores: stores(), proberStores: stores(), authority }, call(effect.key))
}

const call = (key: string) => ({ key, signal: AbortSignal.timeout(10_000) })

async function look() {
  const asked = await ledger.askLook('key')
  return expect
    .poll(async () => (await ledger.showLook('key')).answered, { timeout: 20_000, interval: 50 })
    .toBeGreaterThanOrEqual(asked)
    .then(() => ledger.showLook('key'))
}
const kinds = async () => (await look()).drift?.stores.map(({ store, kind }) => `${store} ${kind}`)
async function settled(): Promise<string> {
  const { drift } = await look()
  const seen = Object.fromEntries((drift?.stores ?? []).map((one) => [one.store, one.seen]))
  const { rotation } = await ledger.order({ digest: 'd' }, (orders) =>
    orders.settleDrift('key', { seen, actor: 'ana', reason: 'r' }),
  )
  await untilEnded(rotation)
  const after = await look()
  expect(after.stores.map(({ state }) => state)).toEqual(['governed', 'governed'])
  expect(after.drift).toBeNull()
  return rotation
}
const writeVault = (value: Secret, more = {}) =>
  root.kvWrite('secret', path, { value: value.reveal(), ...more })
/** As `vault kv delete` does: what can be brought back. */
async function softDelete(): Promise<void> {
  const { status } = await fetch(`${vaultAddr}/v1/secret/data/${path}`, {
    method: 'DELETE',
    headers: { 'x-vault-token': vaultRootToken },
  })
  expect(status).toBe(204)
}
const writeAws = (value: Secret) =>
  aws.put(path, {
    token: randomUUID(),
    text: Secret.of(JSON.stringify({ value: value.reveal() })),
    labels: ['AWSCURRENT'],
  })
const current = async () => {
  const all = await Promise.all(stores().map(({ store }) => store.readCurrent(call('current'))))
  return all.map((one) => one?.generation)
}

test('stores that show what Rekey wrote have no drift', async () => {
  const found = await look()
  expect(found.stores).toEqual([
    { store: 'vault', state: 'governed' },
    { store: 'aws', state: 'governed' },
  ])
  expect(said).toEqual([])
})

test('what was written into both by hand is found, and replaced in both', async () => {
  const [inVault, inAws] = [plantedSecret(), plantedSecret()]
  // With Rekey's own notes kept beside it, as `vault kv patch` does.
  await writeVault(inVault, { generation: 1, key_id: 'key.g1' })
  await writeAws(inAws)
  expect(await kinds()).toEqual(['vault foreign', 'aws foreign'])
  const text = JSON.stringify([await ledger.listDrift(), await ledger.journal({}), said])
  for (const value of [inVault, inAws]) expect(text).not.toContain(value.reveal())
  const rotation = await settled()
  expect(await current()).toEqual([2, 2])
  const entries = await ledger.journal({ stream: 'credential/key' })
  expect(entries.at(-1)).toMatchObject({ type: 'DriftSettled', data: { how: 'rotated', rotation } })
})

test('a secret that was deleted is found and comes back', async () => {
  await softDelete()
  await writeAws(plantedSecret())
  expect(await kinds()).toEqual(['vault missing', 'aws foreign'])
  await settled()
  expect(await current()).toEqual([2, 2])
})

test('a whole path that was deleted is found and comes back, though versions begin anew', async () => {
  await root.kvDeleteMetadata('secret', path)
  expect(await kinds()).toEqual(['vault missing'])
  await writeVault(plantedSecret())
  expect(await kinds()).toEqual(['vault foreign'])
  await settled()
  expect(await current()).toEqual([2, 2])
})

test('a label that was moved back to a dead generation is found, and moved off again', async () => {
  const showing = async () =>
    [...((await aws.labels(path)) ?? [])].find(([, held]) => held.includes('AWSCURRENT'))?.[0] ?? ''
  const before = await showing()
  const { rotation } = await ledger.start('key', {
    cause: { kind: 'order', actor: 'ana', reason: 'r' },
    mode: 'rotate',
    goal: 'replace',
    compromised: [],
  })
  await untilEnded(rotation)
  const now = await showing()
  await aws.moveLabel(path, { label: 'AWSCURRENT', from: now, to: before })
  const { drift } = await look()
  expect(drift?.stores).toMatchObject([
    { store: 'aws', kind: 'other-generation', governed: now, seen: before, shows: 1 },
  ])
  await settled()
  expect(await current()).toEqual([3, 3])
})

test('who puts the value back by hand is told that it is right, and a rotation replaces it', async () => {
  const held = await stores()[0]?.store.read(1, call('read'))
  await writeVault(plantedSecret())
  expect(await kinds()).toEqual(['vault foreign'])
  if (held) await writeVault(held.value)
  expect(await kinds()).toEqual(['vault rewritten'])
  await settled()
})

test('who writes again in between keeps what they wrote, and the rotation is held there', async () => {
  await writeVault(plantedSecret())
  const { drift } = await look()
  const later = plantedSecret()
  await writeVault(later)
  const seen = Object.fromEntries((drift?.stores ?? []).map((one) => [one.store, one.seen]))
  const { rotation } = await ledger.order({ digest: 'd' }, (orders) =>
    orders.settleDrift('key', { seen, actor: 'ana', reason: 'r' }),
  )
  let refusal: unknown
  await expect
    .poll(
      () =>
        turn(rotation).then(
          () => false,
          (error: unknown) => {
            refusal = error
            return true
          },
        ),
      { timeout: 20_000, interval: 20 },
    )
    .toBe(true)
  expect(refusal).toMatchObject({ code: 'foreign_writer' })
  expect((await root.kvRead('secret', path))?.data.value).toBe(later.reveal())
})
