import { describe, expect, test } from 'vitest'
import { canonical } from './hash.ts'
import { sampleChain, sampleEntries } from './samples.ts'
import { toOcsf } from './to-ocsf.ts'
import { type Fault, verifyChain } from './verify-chain.ts'

const whole = sampleChain()
const chain = whole.map(({ bytes }) => bytes)
const at = (index: number) => chain[index] ?? ''
const end = { sequence: whole.length, hash: whole.at(-1)?.hash ?? '' }
const edited = (bytes: string, change: (record: { [key: string]: never }) => void) => {
  const record = JSON.parse(bytes)
  change(record)
  return canonical(record)
}
const reworded = (index: number) =>
  edited(at(index), (r) => Object.assign(r, { message: 'nothing happened' }))

describe('a chain that is whole', () => {
  test('passes, and says where it ends', () => {
    expect(verifyChain(chain, { until: end })).toEqual({
      ok: true,
      records: chain.length,
      duplicates: 0,
      head: end,
    })
    expect(verifyChain([])).toMatchObject({ ok: true, records: 0 })
  })

  test('passes with resent records, alone or as a batch', () => {
    const resent = [...chain.slice(0, 9), ...chain.slice(4, 9), ...chain.slice(8), at(0)]
    expect(verifyChain(resent, { until: end })).toMatchObject({
      ok: true,
      records: chain.length,
      duplicates: 7,
    })
  })

  test('can be checked from a known record on', () => {
    const after = { sequence: 10, hash: whole[9]?.hash ?? '' }
    expect(verifyChain(chain.slice(10), { after, until: end })).toMatchObject({ ok: true })
  })
})

const FAULTS: [string, string[], Fault, number][] = [
  ['an edit', chain.with(5, reworded(5)), 'edit', 5],
  ['an edit of the first', chain.with(0, reworded(0)), 'edit', 0],
  ['an edit of the last', chain.with(-1, reworded(chain.length - 1)), 'edit', chain.length - 1],
  ['a reformatted record', chain.with(5, JSON.stringify(JSON.parse(at(5)), null, 1)), 'edit', 5],
  [
    'an edit of what a record says of the one before',
    chain.with(5, at(5).replace(/"previous_hash":"[0-9a-f]+"/, '"previous_hash":"ab"')),
    'edit',
    5,
  ],
  ['what is no record', chain.with(5, '{}'), 'edit', 5],
  ['a gap', chain.toSpliced(5, 1), 'gap', 5],
  ['a longer gap', chain.toSpliced(5, 4), 'gap', 5],
  ['a missing start', chain.slice(3), 'gap', 0],
  ['two in the wrong order', chain.with(5, at(6)).with(6, at(5)), 'reorder', 5],
  ['one that came late', [...chain.toSpliced(5, 1), at(5)], 'reorder', 5],
  ['an edited repeat', chain.toSpliced(9, 0, reworded(5)), 'fork', 9],
  ['a cut end', chain.slice(0, -2), 'truncation', chain.length - 2],
  ['a gap before an unreadable record', chain.toSpliced(5, 1).with(9, '{}'), 'gap', 5],
]

describe('the first bad record is named after', () => {
  test.each(FAULTS)('%s', (_, records, fault, index) => {
    expect(verifyChain(records, { until: end })).toMatchObject({ ok: false, fault, index })
  })

  test('a second writer that went on from an older ledger', () => {
    const entry = { ...(sampleEntries()[5] ?? expect.fail()), actor: 'another' }
    const other = toOcsf(entry, { sequence: 6, previousHash: whole[4]?.hash ?? '' })
    expect(verifyChain([...chain.slice(0, 9), other.bytes])).toMatchObject({
      ok: false,
      fault: 'fork',
      index: 9,
    })
  })

  test('a flipped character, wherever it is', () => {
    const target = at(5)
    for (let at = 0; at < target.length; at += 29) {
      const flipped = `${target.slice(0, at)}${target[at] === 'x' ? 'y' : 'x'}${target.slice(at + 1)}`
      const result = verifyChain(chain.with(5, flipped), { until: end })
      expect(result.ok, `flipped at ${at}`).toBe(false)
    }
  })
})
