import { expect, test } from 'vitest'
import { decode } from './decode.ts'
import { digest } from './digest.ts'
import { encode } from './encode.ts'
import type { IncomingRecord } from './kafka-record.ts'
import { newEvent } from './new-event.ts'
import { toChange } from './to-change.ts'

/** Stands in every value that is damaged below; no reason may contain even a part of it. */
const CANARY = 'zQ7hunter2Kx9'
const SEED = 20261121
const RUNS = 4000

/** mulberry32: small, and the same everywhere. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const next = random(SEED)
const below = (n: number) => Math.floor(next() * n)
const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T

const JUNK: unknown[] = [
  null,
  0,
  -1,
  1e308,
  '',
  CANARY,
  [],
  {},
  [CANARY],
  { [CANARY]: CANARY },
  true,
  '\ud800',
  '\0',
]

/** Replaces, removes or adds something at a random place. */
function damage(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || next() < 0.15) return pick(JUNK)
  const copy = structuredClone(json) as Record<string, unknown>
  const keys = Object.keys(copy)
  if (keys.length === 0 || next() < 0.15)
    return Object.assign(copy, { [pick(['extra', CANARY, '__proto__'])]: CANARY })
  const key = pick(keys)
  if (next() < 0.2) delete copy[key]
  else copy[key] = damage(copy[key])
  return copy
}

function damageBytes(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let n = below(4); n > 0; n--) copy[below(copy.length)] = below(256)
  return next() < 0.2 ? copy.subarray(0, below(copy.length)) : copy
}

function randomRecord(): IncomingRecord {
  const mode = pick(['binary', 'structured'] as const)
  const event = newEvent(
    pick([
      { type: 'zonechanged', workload: 'w', environment: 'prod', facts: { zone: CANARY } },
      {
        type: 'service.deployed',
        workload: 'w',
        environment: 'prod',
        facts: { artifact: CANARY, zone: 'a' },
      },
      { type: 'environment.modified', workload: 'w', environment: 'prod', facts: { vendor: CANARY } },
    ] as const),
    { id: `e-${below(1000)}`, source: '/fuzz', at: new Date(below(1e12)) },
  )
  const encoded = encode(event, mode)
  const headers: IncomingRecord['headers'] = {}
  for (const [name, text] of Object.entries(encoded.headers)) headers[name] = Buffer.from(text)
  let value: Buffer | null = Buffer.from(encoded.value)
  const damages = 1 + below(3)
  for (let n = 0; n < damages; n++) {
    const way = next()
    if (way < 0.5) value = Buffer.from(JSON.stringify(damage(JSON.parse(encoded.value))))
    else if (way < 0.65 && value !== null && value.length > 0) value = damageBytes(value)
    else if (way < 0.9) {
      const name = pick(Object.keys(headers))
      headers[name] = pick([
        undefined,
        CANARY,
        Buffer.from(`${CANARY} x`),
        Buffer.from([0xff, 0xfe]),
        [CANARY, CANARY],
        [],
        `ce_${CANARY}`,
      ])
    } else if (way < 0.95) headers[`ce_${CANARY} odd`] = CANARY
    else value = null
  }
  return { key: null, value, headers }
}

/** Any six characters of the canary in a row. */
const PARTS = [...Array(CANARY.length - 5)].map((_, at) => CANARY.slice(at, at + 6).toLowerCase())

test(`${RUNS} damaged records: nothing throws, and no reason repeats what is in the record`, () => {
  const reasons = new Set<string>()
  let changes = 0
  for (let run = 0; run < RUNS; run++) {
    const decoded = decode(randomRecord())
    if (decoded.ok) digest(decoded.event)
    const result = decoded.ok ? toChange(decoded.event) : decoded
    if (result.ok) changes += 1
    else reasons.add(result.reason)
  }
  const leaks = [...reasons].filter((reason) => PARTS.some((part) => reason.toLowerCase().includes(part)))
  expect(leaks).toEqual([])
  expect([...reasons].filter((reason) => reason.length > 250)).toEqual([])
  // The walk reaches many different refusals, and some undamaged meanings.
  expect(reasons.size).toBeGreaterThan(40)
  expect(changes).toBeGreaterThan(10)
}, 30_000)
