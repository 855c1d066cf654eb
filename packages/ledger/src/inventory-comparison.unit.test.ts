import type { InventoryPlace, ListedPlace } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { compareInventory, type Governed, placesOf } from './inventory-comparison.ts'

const VAULT: InventoryPlace = { kind: 'vault-kv', mount: 'secret', prefix: '' }
const AWS: InventoryPlace = { kind: 'aws-secrets-manager', region: 'eu-central-1', prefix: '' }

const key: Governed = {
  credential: 'key',
  owner: 'team-ai',
  expected: true,
  authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://gw/' }], refusals: [401] },
  keys: [{ keyId: 'key.g1', expected: true }],
  stores: [
    { name: 'vault', kind: 'vault-kv', mount: 'secret', path: 'prod/key' },
    { name: 'aws', kind: 'aws-secrets-manager', region: 'eu-central-1', secretId: 'prod/key' },
  ],
}

const listed = (place: InventoryPlace, names: string[], error: string | null = null): ListedPlace => ({
  place,
  names: names.map((name) => ({ name, changedAt: null })),
  error,
})

describe('what a scan found', () => {
  test('is governed where a credential names it, and else has no owner', () => {
    const found = compareInventory(
      [listed(VAULT, ['prod/key', 'prod/other']), listed(AWS, ['prod/key', 'legacy'])],
      [key],
    )
    expect(found).toEqual({
      places: [
        { place: 'vault:secret', listed: 2, error: null },
        { place: 'aws:eu-central-1', listed: 2, error: null },
      ],
      governed: 2,
      ungoverned: [
        { place: 'vault:secret', name: 'prod/other', changedAt: null, owner: 'unknown' },
        { place: 'aws:eu-central-1', name: 'legacy', changedAt: null, owner: 'unknown' },
      ],
      missing: [],
    })
  })

  test('is missing what a credential names there, with whose it is', () => {
    const { missing, ungoverned } = compareInventory([listed(VAULT, []), listed(AWS, ['prod/key'])], [key])
    expect(missing).toEqual([
      { place: 'vault:secret', name: 'prod/key', credential: 'key', owner: 'team-ai', store: 'vault' },
    ])
    expect(ungoverned).toEqual([])
  })

  test('says of nothing that it is missing where not all was listed, or nobody looked', () => {
    const denied = listed(VAULT, [], 'permission_denied: no')
    const elsewhere = listed({ ...AWS, region: 'us-east-1' }, [])
    const besides = listed({ ...VAULT, prefix: 'prod/k' }, [])
    const begins = listed({ ...AWS, prefix: 'test/' }, [])
    expect(compareInventory([denied, elsewhere, besides, begins], [key]).missing).toEqual([])
    const within = listed({ ...VAULT, prefix: 'prod' }, [])
    expect(compareInventory([within], [key]).missing).toMatchObject([{ store: 'vault' }])
  })

  test('is not missing what never had a value, or was offboarded, and that is governed all the same', () => {
    const idle = { ...key, expected: false }
    expect(compareInventory([listed(VAULT, []), listed(AWS, ['prod/key'])], [idle])).toMatchObject({
      governed: 1,
      missing: [],
      ungoverned: [],
    })
  })

  test('counts a name once where places overlap, and the same name in two places twice', () => {
    const found = compareInventory(
      [listed(VAULT, ['a/b']), listed({ ...VAULT, prefix: 'a' }, ['a/b']), listed(AWS, ['a/b'])],
      [],
    )
    expect(found.ungoverned).toHaveLength(2)
  })
})

describe('the access keys of a user', () => {
  const USER: InventoryPlace = {
    kind: 'aws-iam-access-key',
    user: 'reports',
    region: 'us-east-1',
    prefix: '',
  }
  const bucket: Governed = {
    ...key,
    credential: 'bucket',
    stores: [],
    authority: {
      kind: 'aws-iam-access-key',
      user: 'reports',
      connection: 'rotator-aws',
      region: 'us-east-1',
      soakMs: 0,
      usedLagMs: 0,
      refusalLagMs: 0,
    },
    keys: [
      { keyId: 'AKIAOURS', expected: true },
      { keyId: 'AKIASTAGED', expected: false },
    ],
  }

  test('are looked at where a credential has that user', () => {
    expect(placesOf([bucket])).toEqual([USER])
  })

  test('that Rekey did not make are told, and those of it that are gone', () => {
    expect(compareInventory([listed(USER, ['AKIAOTHER'])], [bucket])).toMatchObject({
      ungoverned: [{ place: 'iam:reports', name: 'AKIAOTHER', owner: 'unknown' }],
      missing: [
        { place: 'iam:reports', name: 'AKIAOURS', credential: 'bucket', store: 'aws-iam-access-key' },
      ],
    })
    expect(compareInventory([listed(USER, ['AKIAOURS', 'AKIASTAGED'])], [bucket])).toMatchObject({
      governed: 2,
      ungoverned: [],
      missing: [],
    })
  })
})

test('what is looked at is every mount and region that a credential names, once', () => {
  expect(placesOf([key, { ...key, credential: 'other' }])).toEqual([VAULT, AWS])
})
