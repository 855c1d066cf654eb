import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectVault, vaultFingerprints } from '@rekey/backend-vault'
import { digestOf } from '@rekey/contracts'
import type { Owned } from '@rekey/ledger'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { DOCUMENTS, type GivenControl, givenControl } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

const { vaultAddr, identitiesDir } = inject('stack')
const as = (service: string) =>
  connectVault({
    addr: vaultAddr,
    roleId: readFileSync(join(identitiesDir, service, 'vault-role-id'), 'utf8').trim(),
    secretIdFile: join(identitiesDir, service, 'vault-secret-id'),
  })

const VALUE = 'the-value-of-generation-1'

let control: GivenControl
let workers: { stop(): Promise<void> } | undefined
beforeEach(async () => {
  control = await givenControl({ fingerprints: vaultFingerprints(as('control')) })
  await control.post('configuration', { documents: DOCUMENTS, apply: true })
  workers = scriptedWorkers(control.ledger)
  await ended('key-g1')
  const [fingerprint = ''] = await vaultFingerprints(as('rotator')).of([digestOf(VALUE)])
  await control.ledger.recordFingerprint({ credential: 'key', generation: 1 }, fingerprint)
})
afterEach(async () => {
  await workers?.stop()
  await control.close()
})

async function ended(rotation: string): Promise<void> {
  const outcome = async () => (await control.ledger.showRotation(rotation)).outcome
  await expect.poll(outcome, { timeout: 30_000 }).not.toBeNull()
}

async function who(...strings: string[]): Promise<{ found: Owned[][]; unfingerprinted: string[] }> {
  const { status, body } = await control.post('who', { digests: strings.map(digestOf) })
  expect(status).toBe(200)
  return body as never
}

test('a value in use: whose it is, where it lives, what it reaches, and what each order would take', async () => {
  const { found, unfingerprinted } = await who('something else', VALUE)
  expect(unfingerprinted).toEqual([])
  expect(found[0]).toEqual([])
  expect(found[1]).toMatchObject([
    {
      by: 'fingerprint',
      credential: 'key',
      generation: 1,
      label: 'current',
      ending: null,
      environment: 'prod',
      owner: 'team',
      stores: ['vault'],
      nodes: [{ node: 'scripted-node', accepts: true, inFlight: 0, lastUsedAt: null }],
      lastUse: null,
      clients: { declared: [], seen: [] },
      knocks: null,
      reaches: [{ name: 'gw', url: 'http://127.0.0.1:1/' }],
      rotation: null,
      dead: null,
      forecast: [
        { order: 'rotate', deadAfterMs: null, measured: 0 },
        { order: 'expedite', deadAfterMs: null },
        { order: 'contain', deadAfterMs: null },
      ],
    },
  ])
})

test('a dead one: since when, and where it was refused; and what it took', async () => {
  await control.post('credentials/key/expedite', { reason: 'in a log' })
  await ended('key-g2')
  const [dead] = (await who(VALUE)).found[0] ?? []
  expect(dead).toMatchObject({
    generation: 1,
    label: null,
    validity: 'destroyed',
    compromised: true,
    stores: [],
  })
  expect(dead?.dead?.refusedBy).toEqual(['gw'])
  expect(dead?.forecast).toEqual([])
  const { found, unfingerprinted } = await who('key.g2')
  expect(found[0]).toMatchObject([{ by: 'key-id', generation: 2, label: 'current' }])
  expect(found[0]?.[0]?.forecast[1]).toMatchObject({ order: 'expedite', measured: 1, of: 'this credential' })
  expect(found[0]?.[0]?.forecast[1]?.deadAfterMs?.longest).toBeGreaterThan(0)
  expect(unfingerprinted).toEqual(['key'])
})

test('by whom a value is used, and who tries a dead one', async () => {
  const use = { address: '203.0.113.9', requests: 3, lastUseAgeMs: 5 }
  const report = async (more: object) => {
    const [node] = await control.ledger.listNodes()
    const { session = 0 } = node ?? {}
    return [
      { type: 'usage' as const, node: 'scripted-node', session, credential: 'key', generations: [], ...more },
    ]
  }
  await control.ledger.fleet.recordClients(await report({ clients: [{ generation: 1, ...use }] }))
  const [alive] = (await who(VALUE)).found[0] ?? []
  expect(alive?.clients.seen).toMatchObject([
    { address: '203.0.113.9', client: null, node: 'scripted-node', requests: 3 },
  ])
  await control.post('credentials/key/expedite', { reason: 'in a log' })
  await ended('key-g2')
  const graveyard = { watched: [1], knocks: [{ generation: 1, ...use }] }
  // A node says it again and again: what somebody has locked in that moment is left out.
  const told = async () => {
    await control.ledger.fleet.recordKnocks(await report({ graveyard }))
    const [dead] = (await who(VALUE)).found[0] ?? []
    return { seen: dead?.clients.seen.length, knocks: dead?.knocks }
  }
  await expect.poll(told, { timeout: 10_000 }).toMatchObject({
    seen: 1,
    knocks: {
      requests: 3,
      from: [{ address: '203.0.113.9', client: null, nodes: ['scripted-node'], requests: 3 }],
      watchedBy: ['scripted-node'],
      notWatchedBy: [],
    },
  })
})

test('what is not a digest is refused, and not repeated', async () => {
  const { status, body } = await control.post('who', { digests: [VALUE] })
  expect(status).toBe(400)
  expect(JSON.stringify(body)).not.toContain(VALUE)
})

test('without a Vault it says so', async () => {
  const blind = await givenControl()
  const { status, body } = await blind.post('who', { digests: [digestOf(VALUE)] })
  await blind.close()
  expect({ status, code: body.code }).toEqual({ status: 409, code: 'not_allowed_now' })
})
