import { AgentToFleet } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'

const INTEGER_MAX = 2_147_483_647
const DAY_MS = 86_400_000

const usage = { generation: 1, inFlight: 0, lastUseAgeMs: 0, requests: 0 }
const report = (more: object) => ({
  type: 'usage',
  credential: 'chat',
  session: 1,
  generations: [{ ...usage, ...more }],
})
const proof = { generation: 1, signature: 's'.repeat(88), tried: 'accepted' }
const refusal = { generation: 1, tried: 'refused' }
const ack = {
  type: 'ack',
  credential: 'chat',
  revision: 1,
  session: 1,
  nonce: 'n',
  proofs: [proof],
  refusals: [refusal],
}
const nack = {
  type: 'nack',
  credential: 'chat',
  revision: 1,
  session: 1,
  generation: null,
  reason: 'adapter_failed',
  detail: 'x',
}
const adapter = { credential: 'chat', kind: 'file', disruption: 'B' }
const hello = { type: 'hello', boot: 'b', agentVersion: '0', adapters: [adapter] }
const client = { generation: 1, address: '2001:db8::7', requests: 1, lastUseAgeMs: 0 }
const sightings = (more: object) => ({ ...report({}), ...more })
const graveyard = { watched: [1], knocks: [client] }
const many = <T>(item: T, count: number) => Array.from({ length: count }, () => item)

describe('what an agent says', () => {
  test.each([
    ['an ack', ack],
    ['an ack of the largest numbers', { ...ack, revision: Number.MAX_SAFE_INTEGER, session: 2 ** 53 - 1 }],
    ['64 proofs', { ...ack, proofs: many(proof, 64), refusals: many(refusal, 64) }],
    ['a nack', nack],
    ['a hello with 64 adapters', { ...hello, adapters: many(adapter, 64) }],
    [
      'the largest counters',
      report({ generation: INTEGER_MAX, inFlight: INTEGER_MAX, requests: 2 ** 53 - 1 }),
    ],
    ['what an older agent says of use', report({})],
    ['that an adapter buries', { ...hello, adapters: [{ ...adapter, buries: true }] }],
    [
      '128 clients, and 64 knocks',
      sightings({ clients: many(client, 128), graveyard: { ...graveyard, knocks: many(client, 64) } }),
    ],
    ['the protocol that it speaks', { ...hello, protocol: 1 }],
    ['an age of a year', report({ lastUseAgeMs: 366 * DAY_MS })],
  ])('is taken: %s', (_what, message) => {
    expect(AgentToFleet.safeParse(message).success).toBe(true)
  })

  test.each([
    ['a generation that no integer column holds', report({ generation: INTEGER_MAX + 1 })],
    ['such a generation in a proof', { ...ack, proofs: [{ ...proof, generation: INTEGER_MAX + 1 }] }],
    ['such a generation in a nack', { ...nack, generation: INTEGER_MAX + 1 }],
    ['a count of requests in flight that none holds', report({ inFlight: INTEGER_MAX + 1 })],
    ['a count of requests that is not exact', report({ requests: 2 ** 53 })],
    ['an age without sense', report({ lastUseAgeMs: 1e300 })],
    ['an age of more than a year', report({ lastUseAgeMs: 366 * DAY_MS + 1 })],
    ['a revision that is not exact', { ...ack, revision: 2 ** 53 }],
    ['a session that is not exact', { ...ack, session: 2 ** 53 }],
    ['a negative session', { ...ack, session: -1 }],
    ['65 proofs', { ...ack, proofs: many(proof, 65) }],
    ['65 refusals', { ...ack, refusals: many(refusal, 65) }],
    ['65 generations', { ...report({}), generations: many(usage, 65) }],
    ['65 adapters', { ...hello, adapters: many(adapter, 65) }],
    ['129 clients', sightings({ clients: many(client, 129) })],
    ['65 knocks', sightings({ graveyard: { ...graveyard, knocks: many(client, 65) } })],
    ['65 dead generations', sightings({ graveyard: { ...graveyard, watched: many(1, 65) } })],
    ['a client that is no address', sightings({ clients: [{ ...client, address: 'gateway' }] })],
    ['an address with a zone', sightings({ clients: [{ ...client, address: 'fe80::1%eth0' }] })],
    ['a long name', { ...ack, credential: 'x'.repeat(65) }],
    ['a long signature', { ...ack, proofs: [{ ...proof, signature: 's'.repeat(129) }] }],
    ['a long nonce', { ...ack, nonce: 'x'.repeat(65) }],
    ['a control character in a name', { ...hello, boot: 'b\u0000' }],
    ['half a character in a name', { ...hello, boot: 'b\ud800' }],
  ])('is refused: %s', (_what, message) => {
    expect(AgentToFleet.safeParse(message).success).toBe(false)
  })

  test('is freed of what a database refuses in a text', () => {
    const detail = 'a\u0000b\nc\u007f\ud800d\u2028 é😀'
    expect(AgentToFleet.parse({ ...nack, detail })).toMatchObject({ detail: 'a b c \ufffdd\u2028 é😀' })
  })

  test('is taken by a fleet of the release before, which knows nothing of clients and graveyards', () => {
    // As zod has it: what is not named is left out, and not refused.
    expect(AgentToFleet.parse(sightings({ graveyard, invented: 1 }))).toEqual(sightings({ graveyard }))
  })
})
