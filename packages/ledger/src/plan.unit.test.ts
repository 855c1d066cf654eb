import { CredentialSpec } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { planOf } from './submit.ts'

const planFor = (authority: object) =>
  planOf(
    CredentialSpec.parse({
      workload: 'shop',
      purpose: 'login',
      direction: 'outbound',
      authority,
      stores: [{ name: 'vault', kind: 'vault-kv', path: 'prod/shop/login' }],
      maxAge: '1d',
      rollout: { quietMs: 30_000 },
    }),
  )

test('the brake, what may be in flight or disturbed, and a cut at the cap are only there where they are asked for', () => {
  const { rollout, ...spec } = CredentialSpec.parse({
    workload: 'chat',
    purpose: 'api-key',
    direction: 'inbound',
    authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://gw/' }] },
    stores: [{ name: 'vault', kind: 'vault-kv', path: 'prod/chat/key' }],
    rollout: {
      waves: [{ by: 'zone' }, '100%'],
      maxInFlight: 50,
      maxDisruption: 'B',
      brake: { errors: '0.5%' },
      atDrainCap: 'cut',
    },
  })
  expect(planOf({ ...spec, rollout })).toMatchObject({
    waves: [{ by: 'zone' }, '100%'],
    maxInFlight: 50,
    maxDisruption: 'B',
    brake: { share: 0.005, requests: 50, watchMs: 30_000, action: 'rollback' },
    atDrainCap: 'cut',
  })
  const { brake: _, maxInFlight: __, maxDisruption: ___, ...plain } = rollout
  const plan = planOf({ ...spec, rollout: { ...plain, atDrainCap: 'hold' } })
  for (const absent of ['brake', 'maxInFlight', 'maxDisruption', 'atDrainCap'])
    expect(plan).not.toHaveProperty(absent)
})

test('a key of AWS must be unused for as long as AWS may say a use late', () => {
  const key = { kind: 'aws-iam-access-key', user: 'shop' }
  expect(planFor(key)).toMatchObject({ quietMs: 14_400_000, evidence: 'observed', minted: true })
  expect(planFor({ ...key, usedLagMs: 1_000 })).toMatchObject({ quietMs: 30_000 })
})

test('a login that Vault makes goes by its sessions, and cannot be suspended', () => {
  const login = {
    kind: 'vault-database-dynamic',
    role: 'rekey-shop',
    sessions: 'shop',
    endpoints: [{ name: 'primary', url: 'postgres://db/shop' }],
  }
  expect(planFor(login)).toMatchObject({
    slots: 2,
    soakMs: null,
    quietMs: 30_000,
    evidence: 'observed',
    minted: true,
  })
})

test('a secret id must be unused for as long as a token lives, and cannot be suspended', () => {
  const secretId = { kind: 'vault-approle-secret-id', role: 'shop' }
  expect(planFor(secretId)).toMatchObject({
    slots: 2,
    soakMs: null,
    quietMs: 3_600_000,
    evidence: 'observed',
    minted: true,
  })
  expect(planFor({ ...secretId, tokenMaxMs: 1_000 })).toMatchObject({ quietMs: 30_000 })
})

test('a login that a rotation function makes must be unused for as long as readers of its secret keep a value', () => {
  const rotated = {
    kind: 'aws-managed-rotation',
    strategy: 'alternating-users',
    region: 'eu-central-1',
    secretId: 'prod/shop/db',
    watcher: 'db-watcher',
    endpoints: [{ name: 'primary', url: 'postgres://db/shop' }],
  }
  expect(planFor(rotated)).toMatchObject({
    slots: 2,
    soakMs: null,
    quietMs: 3_600_000,
    evidence: 'observed',
    minted: true,
  })
  expect(planFor({ ...rotated, readersMs: 1_000 })).toMatchObject({ quietMs: 30_000 })
})
