import { describe, expect, test } from 'vitest'
import {
  clientOf,
  mapText,
  parseMap,
  parseMapText,
  parsePreparedVersion,
  parseTable,
  parseUptimeMs,
} from './answers.ts'

// Answers as HAProxy 2.6 gave them.
const TABLE = `# table: st_keys, type: string, size:10240, used:2
0x7f59d8046878: key=chat.g1 use=1 exp=2073598863 gpc0=0 http_req_cnt=3 http_req_rate(60000)=3
0x7f59d8046999: key=chat.g2 use=0 exp=2073595735 gpc0=0 http_req_cnt=120 http_fail_cnt=7 http_req_rate(60000)=0

`

describe('answers of HAProxy', () => {
  test('a prepared version is read, and a refusal is none', () => {
    expect(parsePreparedVersion('New version created: 12\n\n')).toBe(12)
    expect(parsePreparedVersion('Unknown map identifier. Please use #<id> or <file>.\n\n')).toBeUndefined()
  })

  test('a table gives counters by key id', () => {
    expect(parseTable(TABLE)).toEqual([
      { keyId: 'chat.g1', inFlight: 1, expiresInMs: 2073598863, requests: 3, failures: undefined },
      { keyId: 'chat.g2', inFlight: 0, expiresInMs: 2073595735, requests: 120, failures: 7 },
    ])
  })

  test('rows of a table without request counters are skipped, not counted as unused', () => {
    expect(parseTable('# table: st_keys\n0x7f: key=chat.g1 use=0 exp=5 gpc0=0\n')).toEqual([])
  })

  test('a map is read from the socket and from the file alike', () => {
    const entries = new Map([
      ['aa', 'chat.g1'],
      ['bb', 'chat.g2'],
    ])
    expect(parseMap('0x7f59d8046380 aa chat.g1\n0x7f59d8046390 bb chat.g2\n\n')).toEqual(entries)
    expect(parseMapText(mapText(entries))).toEqual(entries)
    expect(parseMap('Unknown map identifier.\n')).toEqual(new Map())
  })

  test.each([
    ['chat.g1@10.0.0.7', { keyId: 'chat.g1', address: '10.0.0.7' }],
    ['chat.g1@2001:db8::7', { keyId: 'chat.g1', address: '2001:db8::7' }],
    ['chat.g1@::ffff:10.0.0.7', { keyId: 'chat.g1', address: '10.0.0.7' }],
    ['chat.g1', undefined],
    ['chat.g1@', undefined],
    ['@10.0.0.7', undefined],
    ['chat.g1@unix', undefined],
  ])('the client of the row %s is %o', (key, client) => {
    expect(clientOf(key)).toEqual(client)
  })

  test('uptime is in whole seconds', () => {
    expect(parseUptimeMs('Name: HAProxy\nUptime: 0d 0h00m07s\nUptime_sec: 7\nMemmax_MB: 0\n')).toBe(7_000)
    expect(parseUptimeMs('')).toBeUndefined()
  })
})
