import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { parseConfig } from './config.ts'

const haproxy = {
  credential: 'chat-key',
  kind: 'haproxy',
  socket: 'haproxy.sock',
  map: '/run/keys.map',
  probeUrl: 'http://127.0.0.1:8080/v1/models',
}
const good = {
  node: 'gw-1',
  fleet: { url: 'wss://fleet:7443', enrolUrl: 'https://fleet:7444', caFile: 'ca.pem' },
  stateDir: 'state',
  vault: { addr: 'http://127.0.0.1:8200' },
  adapters: [haproxy],
}
const parse = (document: unknown) => parseConfig(stringify(document), '/etc/rekey')

describe('the configuration', () => {
  test('relative paths start at its folder, and the map keeps the name that HAProxy knows', () => {
    const config = parse({ ...good, adapters: [{ ...haproxy, map: 'keys.map' }] })
    expect(config.stateDir).toBe('/etc/rekey/state')
    expect(config.fleet.caFile).toBe('/etc/rekey/ca.pem')
    expect(config.adapters[0]).toMatchObject({
      socket: '/etc/rekey/haproxy.sock',
      map: 'keys.map',
      mapFile: '/etc/rekey/keys.map',
      table: 'st_keys',
    })
  })

  test('a node enrols with a join token or with an SVID, and not with both', () => {
    const svid = { certFile: 'svid.0.pem', keyFile: '/run/svid.0.key' }
    expect(parse({ ...good, svid }).svid).toEqual({
      certFile: '/etc/rekey/svid.0.pem',
      keyFile: '/run/svid.0.key',
    })
    expect(parse(good)).not.toHaveProperty('svid')
    expect(() => parse({ ...good, svid, joinTokenFile: 'token' })).toThrow(/svid: .*name one of the two/)
    expect(() => parse({ ...good, svid: { certFile: 'svid.0.pem' } })).toThrow(/svid\.keyFile/)
  })

  test('a node says its labels, and the lifetimes of the credentials that it has', () => {
    const manifest = { labels: { zone: 'a' }, lifetimes: { 'chat-key': { cacheMs: 60_000 } } }
    expect(parse({ ...good, ...manifest })).toMatchObject(manifest)
    expect(() => parse({ ...good, lifetimes: { 'chat-kye': {} } })).toThrow('lifetimes.chat-kye')
    expect(() => parse({ ...good, labels: { Zone: 'a' } })).toThrow('labels')
  })

  test('a graveyard is a map like the other: named for HAProxy, and a file for the agent', () => {
    const [adapter] = parse({ ...good, adapters: [{ ...haproxy, graveyard: 'graveyard.map' }] }).adapters
    expect(adapter).toMatchObject({
      graveyard: 'graveyard.map',
      graveyardFile: '/etc/rekey/graveyard.map',
      knocksTable: 'st_knocks',
      clientsTable: 'st_clients',
    })
    expect(parse(good).adapters[0]).not.toHaveProperty('graveyard')
  })

  test('so do those of a certificate', () => {
    const file = { kind: 'file', format: 'tls' }
    const shown = { address: '127.0.0.1:8443', serverName: 'shop.internal.example', caFile: 'ca.pem' }
    const mtls = { url: 'https://backend.internal.example/health', caFile: 'ca.pem' }
    const { adapters } = parse({
      ...good,
      adapters: [
        { ...file, credential: 'a', path: 'tls', probe: 'shown', shown },
        { ...file, credential: 'b', path: '/run/tls', probe: 'mtls', mtls },
      ],
    })
    expect(adapters).toMatchObject([
      { path: '/etc/rekey/tls', shown: { caFile: '/etc/rekey/ca.pem' } },
      { path: '/run/tls', mtls: { caFile: '/etc/rekey/ca.pem' } },
    ])
  })

  test('so do those of a pooler, but for the host of its console', () => {
    const admin = { host: '/run/postgresql', user: 'rekey', passwordFile: 'pooler-password' }
    const pooler = { credential: 'shop-db', kind: 'pgbouncer', path: 'shop.ini', database: 'shop', admin }
    expect(parse({ ...good, adapters: [pooler] }).adapters).toMatchObject([
      {
        path: '/etc/rekey/shop.ini',
        admin: { ...admin, port: 6432, passwordFile: '/etc/rekey/pooler-password' },
      },
    ])
    const elsewhere = { ...pooler, credential: 'b', path: 'b.ini' }
    expect(() => parse({ ...good, adapters: [pooler, elsewhere] })).toThrow(
      /adapters\.1: alias shop of PgBouncer/,
    )
    for (const database of ['pgbouncer', 'a b', 'shop.g1'])
      expect(() => parse({ ...good, adapters: [{ ...pooler, database }] })).toThrow(/adapters\.0\.database/)
  })

  test.each([
    ['an unknown field', { ...good, nodes: 'x' }, /nodes/],
    ['a node name in upper case', { ...good, node: 'GW' }, /node: use lower-case/],
    ['a channel without TLS', { ...good, fleet: { ...good.fleet, url: 'ws://fleet' } }, /fleet\.url: .*wss/],
    ['an unknown adapter', { ...good, adapters: [{ ...haproxy, kind: 'nginx' }] }, /adapters\.0\.kind/],
    ['no adapter', { ...good, adapters: [] }, /adapters/],
    ['more than the fleet takes', { ...good, adapters: Array(65).fill(haproxy) }, /adapters.*64/],
    [
      'a map name that would end the command',
      { ...good, adapters: [{ ...haproxy, map: '/run/a;shutdown' }] },
      /adapters\.0\.map: must not contain/,
    ],
    [
      'one credential twice',
      { ...good, adapters: [haproxy, { ...haproxy, map: '/b' }] },
      /adapters\.1: credential chat-key/,
    ],
    [
      'one map twice',
      { ...good, adapters: [haproxy, { ...haproxy, credential: 'b' }] },
      /adapters\.1: map \/run\/keys.map/,
    ],
    [
      'one file, written in two ways',
      {
        ...good,
        adapters: [
          { kind: 'file', credential: 'a', path: 'x.json' },
          { kind: 'file', credential: 'b', path: '/etc/rekey/x.json' },
        ],
      },
      /adapters\.1: path \/etc\/rekey\/x.json/,
    ],
    [
      'one map for live and dead keys',
      { ...good, adapters: [{ ...haproxy, graveyard: haproxy.map }] },
      /adapters\.0: map \/run\/keys.map/,
    ],
  ])('%s is refused by its field', (_what, document, message) => {
    expect(() => parse(document)).toThrow(message)
  })

  test('what is not YAML is said to be so', () => {
    expect(() => parseConfig('{', '/')).toThrow(/not YAML/)
  })
})
