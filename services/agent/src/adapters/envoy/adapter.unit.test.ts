import { expect, test } from 'vitest'
import { EnvoyConfig } from './adapter.ts'
import { isAdminAddress } from './admin.ts'
import { complaint } from './complaint.ts'

const generic = {
  credential: 'provider-key',
  kind: 'envoy',
  path: '/run/rekey/envoy/provider-key.json',
  secret: 'provider-key',
  type: 'generic',
  admin: 'http://127.0.0.1:9901',
} as const

test.each([
  ['http://127.0.0.1:9901', true],
  ['http://localhost:9901/', true],
  ['http://[::1]:9901', true],
  ['/run/envoy/admin.sock', true],
  ['admin.sock', true],
  ['http://10.0.0.1:9901', false],
  ['http://127.0.0.1.example:9901', false],
  ['https://127.0.0.1:9901', false],
  ['http://127.0.0.1:9901/admin', false],
  ['http://', false],
])('the admin at %s is taken: %s', (admin, taken) => {
  expect(isAdminAddress(admin)).toBe(taken)
  expect(EnvoyConfig.safeParse({ ...generic, admin }).success).toBe(taken)
})

test('a key is tried at an address, a certificate by a probe', () => {
  const shown = { address: '127.0.0.1:8443', serverName: 'shop.internal.example' }
  const mtls = { url: 'https://backend.internal.example/' }
  const probeUrl = 'http://127.0.0.1:8000/v1/models'
  const tls = { ...generic, type: 'tls' } as const
  for (const right of [
    generic,
    { ...generic, probeUrl },
    { ...tls, probe: 'shown', shown },
    { ...tls, probe: 'mtls', mtls },
  ])
    expect(EnvoyConfig.safeParse(right).success).toBe(true)
  for (const [wrong, path] of [
    [{ ...tls, probeUrl }, 'probeUrl'],
    [{ ...generic, probe: 'shown', shown }, 'probe'],
    [{ ...tls, probe: 'shown' }, 'shown'],
    [{ ...tls, mtls }, 'mtls'],
    [{ ...generic, secret: 'a"b' }, 'secret'],
  ] as const)
    expect(EnvoyConfig.safeParse(wrong).error?.issues).toMatchObject([{ path: [path] }])
})

const seen = {
  secret: 'shop-tls',
  path: '/run/rekey/shop-tls.json',
  wanted: 'aa:02',
  version: 'aa:01',
  updates: { rejected: 0, unread: 0 },
}

test.each([
  ['another secret', { version: undefined }, /^Envoy has no secret "shop-tls" by SDS: name it/],
  ['a certificate that must go', { wanted: '' }, /restart it; there is none in \/run\/rekey\/shop-tls\.json/],
  [
    'a rejected update',
    { updates: { rejected: 2, unread: 0 } },
    /but aa:01; updates that it rejected: 2\. Its log/,
  ],
  [
    'a file that it may not read',
    { updates: { rejected: 0, unread: 1 } },
    /read: 1\. Let its user read \/run/,
  ],
  [
    'a folder that it does not watch',
    {},
    /watched_directory .* must be \/run\/rekey\/shop-tls\.json and \/run\/rekey,/,
  ],
  ['nothing so far', { version: '' }, /, but none\. /],
  ['the same version of something else', { version: 'aa:02' }, /, but another one\. /],
  ['a version that somebody else wrote', { version: 'BEGIN KEY' }, /, but another one\. /],
])('of %s it is said what to do', (_, more, message) => {
  expect(complaint({ ...seen, ...more })).toMatch(message)
  expect(complaint({ ...seen, ...more }).length).toBeLessThan(300)
})
