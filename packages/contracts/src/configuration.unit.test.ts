import { describe, expect, test } from 'vitest'
import { PostgresUrl } from './authorities/index.ts'
import { CredentialSpec } from './configuration.ts'

const base = {
  workload: 'shop',
  purpose: 'database',
  stores: [{ name: 'vault', kind: 'vault-kv', path: 'prod/shop/db' }],
}
const nodes = { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://gw/' }] }
const pair = {
  kind: 'postgres-role-pair',
  pair: 'shop_app',
  owner: 'shop_owner',
  connection: 'shop-db',
  endpoints: [{ name: 'primary', url: 'postgres://db.example:5432/shop' }],
}
const secretId = { kind: 'vault-approle-secret-id', mount: 'workloads', role: 'embedder' }
const dynamic = {
  kind: 'vault-database-dynamic',
  role: 'rekey-shop',
  sessions: 'shop-sessions',
  endpoints: [{ name: 'primary', url: 'postgres://db.example:5432/shop' }],
}
const turns = {
  kind: 'vault-database-static',
  roles: ['rekey-shop-a', 'rekey-shop-b'],
  sessions: 'shop-watcher',
  endpoints: [{ name: 'primary', url: 'postgres://db.example:5432/shop' }],
}
const WINDOW = { days: ['sat'], from: '02:00', to: '04:00' }
const certificate = {
  kind: 'vault-pki-certificate',
  mount: 'pki-workloads',
  role: 'shop',
  commonName: 'shop.internal.example',
  ttl: '30d',
}
const rotated = {
  kind: 'aws-managed-rotation',
  strategy: 'alternating-users',
  region: 'eu-central-1',
  secretId: 'prod/shop/db',
  watcher: 'shop-watcher',
  endpoints: [{ name: 'primary', url: 'postgres://db.example:5432/shop' }],
}
const faults = (spec: unknown) =>
  CredentialSpec.safeParse(spec).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ??
  []

describe('direction and authority', () => {
  test.each([
    ['inbound', nodes],
    ['outbound', pair],
    ['outbound', secretId],
    ['outbound', rotated],
  ])('%s has an authority of its own', (direction, authority) => {
    expect(faults({ ...base, direction, authority })).toEqual([])
  })

  test.each([
    ['inbound', pair, 'direction: must be outbound: that is what the authority postgres-role-pair is for'],
    ['outbound', nodes, 'direction: must be inbound: that is what the authority nodes is for'],
  ])('%s does not go with the other one', (direction, authority, fault) => {
    expect(faults({ ...base, direction, authority })).toEqual([fault])
  })
})

describe('a role pair', () => {
  test.each([
    ['a name that needs quotes', { pair: 'Shop-App' }, /authority\.pair/],
    ['a name that leaves no room', { pair: 'a'.repeat(62) }, /authority\.pair/],
    ['a connection that is a path', { connection: '../x' }, /authority\.connection/],
    ['no endpoint', { endpoints: [] }, /authority\.endpoints/],
    ['a field that is not known', { refusals: [401] }, /refusals/],
  ])('is refused with %s', (_, change, fault) => {
    const found = faults({ ...base, direction: 'outbound', authority: { ...pair, ...change } })
    expect(found.join()).toMatch(fault)
  })
})

describe('a certificate', () => {
  const of = (authority: object, more: object = { maxAge: '20d' }) =>
    faults({ ...base, direction: 'outbound', authority: { ...certificate, ...authority }, ...more })

  test.each<[string, object]>([
    ['a mount in a folder', { mount: 'team/pki_int' }],
    ['an address only', { commonName: undefined, ipAddresses: ['10.0.0.1', '::1'] }],
    ['a SPIFFE ID only', { commonName: undefined, uris: ['spiffe://example.org/shop'], mark: 'subject' }],
    ['a name for many', { dnsNames: ['*.shop.internal.example'] }],
  ])('may have %s', (_, change) => {
    expect(of(change)).toEqual([])
  })

  test.each<[string, object, RegExp]>([
    ['no name', { commonName: undefined }, /authority\.commonName: give a commonName/],
    ['two names in one', { dnsNames: ['a.example,evil.example'] }, /authority\.dnsNames\.0: no comma/],
    ['a name with a line end', { commonName: 'a\nb' }, /authority\.commonName: no comma/],
    ['an address that is none', { ipAddresses: ['10.0.0'] }, /authority\.ipAddresses\.0/],
    ['no life', { ttl: undefined }, /authority\.ttl/],
    ['a life of seconds', { ttl: '90s' }, /authority\.ttl/],
    ...['../sys', 'a..b', 'a/b', 'a?b', 'a#b', 'a%2fb', 'a\nb', 'a\n', '', ' a', '.a'].map(
      (role): [string, object, RegExp] => [
        `a role named ${JSON.stringify(role)}`,
        { role },
        /authority\.role/,
      ],
    ),
    ...['../sys', 'a/../b', 'a//b', 'a?b', 'a\n'].map((mount): [string, object, RegExp] => [
      `a mount named ${JSON.stringify(mount)}`,
      { mount },
      /authority\.mount/,
    ]),
  ])('is refused with %s', (_, change, fault) => {
    expect(of(change).join('\n')).toMatch(fault)
  })

  test.each<[string, object, RegExp | undefined]>([
    ['no age', {}, /^maxAge: is needed: a value of this kind ends by itself/],
    ['an age beyond its life', { maxAge: '31d' }, /^maxAge: must be at most two thirds/],
    ['an age near its end', { maxAge: '21d' }, /^maxAge: must be at most two thirds/],
    ['two thirds of it', { maxAge: '20d' }, undefined],
    ['an age in which no rotation ends', { maxAge: '1h' }, /^maxAge: must be at least 7260000 ms/],
    ['windows, and a week left', { maxAge: '20d', rollout: { windows: [WINDOW] } }, undefined],
    [
      'windows, and less than a week between two',
      { maxAge: '6d', rollout: { windows: [WINDOW] } },
      /^maxAge: must be at least 612060000 ms/,
    ],
  ])('with %s', (_, more, fault) => {
    if (fault) expect(of({}, more).join('\n')).toMatch(fault)
    else expect(of({}, more)).toEqual([])
  })

  test('leaves time for the use that its owner declares', () => {
    expect(of({ longestUse: '9d' }, { maxAge: '20d' })).toEqual([])
    expect(of({ longestUse: '10d' }, { maxAge: '20d' }).join()).toMatch(
      /^maxAge: must be at least 871200000 ms/,
    )
  })

  test('of a short life needs a rotation that is as quick', () => {
    const ages = (rollout: object) => of({ ttl: '3h' }, { maxAge: '2h', rollout })
    expect(ages({}).join()).toContain('maxAge: must be at least 7260000 ms, and as much less')
    expect(ages({ overdueMs: 1_800_000 })).toEqual([])
    expect(ages({ overdueMs: 1_800_000, readerCacheMs: 3_000_000 }).join()).toContain('at least 4800000 ms')
    expect(ages({ overdueMs: 1_800_000, jitterMs: 3_000_000 }).join()).toContain('at least 4860000 ms')
  })

  test('is not adopted', () => {
    expect(of({}, { maxAge: '20d', firstValue: 'adopt' }).join()).toContain('is not adopted')
  })
})

describe('a rotation function', () => {
  const outbound = { ...base, direction: 'outbound', authority: rotated }

  test('of a single user is refused, with the reason', () => {
    const authority = { ...rotated, strategy: 'single-user' }
    expect(faults({ ...outbound, authority })).toEqual([
      expect.stringMatching(/^authority\.strategy: single-user is not possible: .* alternating users$/),
    ])
  })

  test.each([
    ['a path', { secretId: '../x y' }, /authority\.secretId/],
    ['no watcher', { watcher: undefined }, /authority\.watcher/],
    ['an endpoint with a password', { endpoints: [{ name: 'a', url: 'postgres://u:p@db/x' }] }, /endpoints/],
    ['a value to adopt', {}, /firstValue: .* is not adopted/],
  ])('is refused with %s', (_, change, fault) => {
    const spec = { ...outbound, authority: { ...rotated, ...change }, firstValue: 'adopt' }
    expect(faults(spec).join()).toMatch(fault)
  })

  test.each([
    'prod/shop/db',
    'arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/shop/db-a1B2c3',
    'arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/shop/db',
  ])('keeps its own secret to itself: %s', (secretId) => {
    const store = (region: string) => ({
      name: 'aws',
      kind: 'aws-secrets-manager',
      region,
      secretId: 'prod/shop/db',
    })
    const spec = (region: string) => ({
      ...outbound,
      authority: { ...rotated, secretId },
      stores: [...base.stores, store(region)],
    })
    expect(faults(spec('eu-central-1'))).toEqual([
      expect.stringMatching(/^stores\.1: must be another secret/),
    ])
    expect(faults(spec('eu-west-1'))).toEqual([])
  })

  test('is worked on through neither of its connections when that is what it makes', () => {
    for (const connection of ['shop-watcher', 'rotator-aws'])
      expect(faults({ ...outbound, connection }).join()).toContain('rotated through itself')
  })
})

describe('a connection', () => {
  const outbound = { ...base, direction: 'outbound', authority: pair }
  const key = { kind: 'aws-iam-access-key', user: 'rotator' }
  const login = { kind: 'vault-approle-secret-id', role: 'rotator' }

  test.each([
    ['another manager', { connection: 'other-db' }],
    ['a keeper in AWS', { connection: 'rotator-aws', authority: { ...key, connection: 'keeper' } }],
    ['a keeper in Vault', { connection: 'rotator-vault', authority: { ...login, connection: 'keeper' } }],
  ])('is rotated through %s', (_, change) => {
    expect(faults({ ...outbound, ...change })).toEqual([])
  })

  test.each([
    ['a manager', { connection: 'shop-db' }],
    ['its own access key', { connection: 'rotator-aws', authority: key }],
    ['its own login to Vault', { connection: 'rotator-vault', authority: login }],
  ])('is not rotated through %s', (_, change) => {
    expect(faults({ ...outbound, ...change })).toEqual([
      expect.stringMatching(/^authority\.connection: must not be .* rotated through itself/),
    ])
  })

  test('is outbound, and a leak does not contain it', () => {
    expect(faults({ ...base, direction: 'inbound', authority: nodes, connection: 'x' }).join()).toContain(
      'they are outbound',
    )
    expect(faults({ ...outbound, connection: 'x', onLeak: 'contain' }).join()).toContain('must be expedite')
  })
})

test.each([
  ['postgres://db/shop', true],
  ['postgresql://[::1]:5432/shop', true],
  ['postgres://db/shop?sslmode=verify-full', true],
  ['postgres://db/shop?sslmode=disable', true],
  ['postgres://user@db/shop', false],
  ['postgres://user:secret@db/shop', false],
  ['postgres://db/', false],
  ['postgres://db/shop/x', false],
  ['postgres://db/shop?sslmode=require', false],
  ['postgres://db/shop?sslrootcert=/etc/shadow', false],
  ['https://db/shop', false],
])('the address %s: %s', (url, isGood) => {
  expect(PostgresUrl.safeParse(url).success).toBe(isGood)
})

describe('a store', () => {
  const nodesWith = (store: object) =>
    faults({
      ...base,
      direction: 'inbound',
      authority: nodes,
      stores: [...base.stores, { name: 'other', ...store }],
    })
  const secret = { kind: 'aws-secrets-manager', region: 'eu-west-1', secretId: 'prod/key' }
  const roleArn = 'arn:aws:iam::111122223333:role/rekey/stores'

  test.each([
    ['in another account', { ...secret, roleArn }],
    ['behind an external id', { ...secret, roleArn, externalId: 'rekey-of:ours' }],
    ['in a partition of its own', { ...secret, roleArn: 'arn:aws-us-gov:iam::111122223333:role/stores' }],
    ['with replicas', { ...secret, replicas: ['us-east-1', 'us-gov-west-1'] }],
    ['in a namespace', { kind: 'vault-kv', path: 'a', namespace: 'team/a' }],
  ])('%s is taken', (_, store) => {
    expect(nodesWith(store)).toEqual([])
  })

  test.each([
    [
      'a role that is a user',
      { ...secret, roleArn: 'arn:aws:iam::111122223333:user/x' },
      /1\.roleArn: the ARN/,
    ],
    ['a role of no account', { ...secret, roleArn: 'arn:aws:iam::1:role/x' }, /1\.roleArn/],
    ['a role with a query', { ...secret, roleArn: `${roleArn}?x` }, /1\.roleArn/],
    ['an external id without a role', { ...secret, externalId: 'ab' }, /1\.externalId: needs a roleArn/],
    ['an external id with a line break', { ...secret, roleArn, externalId: 'a\nb' }, /1\.externalId/],
    ['its own region as a replica', { ...secret, replicas: ['eu-west-1'] }, /1\.replicas: must not name/],
    [
      'a replica twice',
      { ...secret, replicas: ['us-east-1', 'us-east-1'] },
      /1\.replicas: regions must differ/,
    ],
    ['a replica that is no region', { ...secret, replicas: ['here'] }, /1\.replicas\.0: an AWS region/],
    ['a namespace with dots', { kind: 'vault-kv', path: 'a', namespace: '../b' }, /1\.namespace/],
    ['a namespace that ends in a slash', { kind: 'vault-kv', path: 'a', namespace: 'b/' }, /1\.namespace/],
  ])('is refused with %s', (_, store, fault) => {
    expect(nodesWith(store).join()).toMatch(fault)
  })
})

describe('a login of the database secrets engine', () => {
  const of = (change: object, maxAge: string | undefined = '20d') =>
    faults({ ...base, direction: 'outbound', maxAge, authority: { ...dynamic, ...change } })

  test('is described with an age at which it is rotated, well before Vault ends it', () => {
    expect(of({})).toEqual([])
    expect(of({ leaseMax: '8h' }, '5h')).toEqual([])
  })

  test.each([
    ['no age', {}, undefined, /is needed: .* ends by itself/],
    ['an age that leaves no time', {}, '21d', /must be at most two thirds of the life/],
    ['an age above a shorter lease', { leaseMax: '12h' }, '9h', /must be at most two thirds of the life/],
    ['a lease that leaves no time', { leaseMax: '90m' }, '1h', /must be at least 7260000 ms/],
  ])('is refused with %s', (_, change, maxAge, why) => {
    const spec = { ...base, direction: 'outbound', maxAge, authority: { ...dynamic, ...change } }
    expect(faults(spec)).toEqual([expect.stringMatching(why)])
  })

  test.each(['../x', 'a/b', 'a?list=true', 'a#b', 'a b', 'a\n', '', 'r'.repeat(129)])(
    'has no role %j, nor such a token role',
    (role) => {
      expect(of({ role })).toEqual(['authority.role: the name of a role of the database secrets engine'])
      expect(of({ tokenRole: role })).toEqual(['authority.tokenRole: the name of a token role'])
    },
  )

  test.each([
    ['a mount that is a path', { mount: '../sys' }, /authority\.mount/],
    ['a connection that is a path', { sessions: '../x' }, /authority\.sessions/],
    ['no endpoint', { endpoints: [] }, /authority\.endpoints/],
    ['an age of no unit', { leaseMax: '30' }, /authority\.leaseMax/],
  ])('is refused with %s', (_, change, fault) => {
    expect(of(change).join()).toMatch(fault)
  })

  test.each(['shop-vault', 'shop-sessions'])('is not the connection %s that it is made through', (name) => {
    const authority = { ...dynamic, connection: 'shop-vault' }
    const spec = { ...base, direction: 'outbound', maxAge: '20d', connection: name, authority }
    expect(faults(spec).join()).toMatch(/not rotated through itself/)
  })
})

describe('static roles that take turns', () => {
  const of = (change: object, maxAge: string | undefined = '60d') =>
    faults({ ...base, direction: 'outbound', maxAge, authority: { ...turns, ...change } })

  test('are described with an age at which the password is rotated, well before Vault changes it', () => {
    expect(of({})).toEqual([])
    expect(of({ rotationPeriod: '30d' }, '20d')).toEqual([])
  })

  test.each([
    ['no age', {}, undefined, /is needed: .* ends by itself/],
    ['an age that leaves no time', {}, '61d', /must be at most two thirds of the life/],
    ['a period that leaves no time', { rotationPeriod: '90m' }, '1h', /must be at least 7260000 ms/],
  ])('are refused with %s', (_, change, maxAge, why) => {
    const spec = { ...base, direction: 'outbound', maxAge, authority: { ...turns, ...change } }
    expect(faults(spec)).toEqual([expect.stringMatching(why)])
  })

  test.each(['../x', 'a/b', 'a?list=true', 'a#b', 'a b', 'a\n', '', 'r'.repeat(129)])(
    'have no role %j, nor such a token role',
    (role) => {
      expect(of({ roles: ['rekey-a', role] })).toEqual([
        'authority.roles.1: the name of a static role of the database secrets engine',
      ])
      expect(of({ tokenRole: role })).toEqual(['authority.tokenRole: the name of a token role'])
    },
  )

  test.each([
    ['one role', { roles: ['rekey-a'] }, /authority\.roles/],
    ['the same role twice', { roles: ['rekey-a', 'rekey-a'] }, /authority\.roles: must be two roles/],
    ['three roles', { roles: ['rekey-a', 'rekey-b', 'rekey-c'] }, /authority\.roles/],
    ['a mount that is a path', { mount: '../sys' }, /authority\.mount/],
    ['a connection that is a path', { sessions: '../x' }, /authority\.sessions/],
    ['no endpoint', { endpoints: [] }, /authority\.endpoints/],
    ['a field of another kind', { leaseMax: '30d' }, /leaseMax/],
  ])('are refused with %s', (_, change, fault) => {
    expect(of(change).join()).toMatch(fault)
  })

  test.each(['shop-vault', 'shop-watcher'])(
    'are not the connection %s that they are worked on through',
    (name) => {
      const authority = { ...turns, connection: 'shop-vault' }
      const spec = { ...base, direction: 'outbound', maxAge: '60d', connection: name, authority }
      expect(faults(spec).join()).toMatch(/not rotated through itself/)
    },
  )
})

test.each(['../rekey-fleet', 'a/role-id', 'a?list=true', 'a b', 'a\n', '', 'r'.repeat(129)])(
  'the AppRole %j is none',
  (role) => {
    const spec = { ...base, direction: 'outbound', authority: { ...secretId, role } }
    expect(faults(spec)).toEqual(['authority.role: the name of an AppRole'])
  },
)
