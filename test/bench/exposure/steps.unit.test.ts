import type { JournalEntry } from '@rekey/ledger'
import { expect, test } from 'vitest'
import { stepsOf } from './steps.ts'

const OPENED = Date.parse('2026-01-01T00:00:00.000Z')

function entry(type: string, afterMs: number, data: Record<string, unknown> = {}): JournalEntry {
  const at = new Date(OPENED + afterMs).toISOString()
  return { position: 1, stream: 'rotation/r', seq: 1, type, data, actor: 'bench', at }
}

const wave = (afterMs: number, purpose: string, number: number, of: number, revision: number) =>
  entry('WaveStarted', afterMs, { purpose, wave: number, waves: new Array(of).fill(['n']), revision })

test('the steps of an expedited rotation add up to its exposure', () => {
  const steps = stepsOf(
    [
      entry('RotationOpened', 0, { mode: 'expedite' }),
      entry('ValueStaged', 40),
      wave(40, 'widen', 0, 2, 5),
      entry('WaveProved', 90, { revision: 5 }),
      entry('RevocationStarted', 90),
      wave(90, 'narrow', 1, 2, 6),
      entry('WaveProved', 400, { revision: 6 }),
    ],
    { 5: { toldAt: 1_050, answeredAt: 1_070, nodes: 1 }, 6: { toldAt: 1_200, answeredAt: 1_320, nodes: 9 } },
    { answeredAt: 1_010, lastAt: 1_300, wallOffsetMs: OPENED - 1_000 },
  )
  expect(steps).toEqual([
    { name: 'the value is made, and in Vault', ms: 30 },
    { name: 'the canary accepts both: until all are told', ms: 10 },
    { name: 'the canary accepts both: read, applied, answered', ms: 20 },
    { name: 'the canary accepts both: checked and recorded', ms: 20 },
    { name: 'the drain is cut, the gate is passed', ms: 0 },
    { name: 'everybody refuses the leaked one: until all are told', ms: 110 },
    { name: 'the last place is seen to refuse', ms: 100 },
  ])
  expect(steps.reduce((sum, { ms }) => sum + ms, 0)).toBe(290)
})

test('what a containment brings up beside the revocation is left out', () => {
  const steps = stepsOf(
    [
      entry('RotationOpened', 0, { mode: 'contain' }),
      wave(0, 'narrow', 0, 1, 5),
      entry('ValueStaged', 20),
      wave(20, 'widen', 0, 1, 6),
    ],
    { 5: { toldAt: 1_060, answeredAt: 1_080, nodes: 9 }, 6: { toldAt: 1_065, answeredAt: 1_090, nodes: 9 } },
    { answeredAt: 1_010, lastAt: 1_070, wallOffsetMs: OPENED - 1_000 },
  )
  expect(steps).toEqual([
    { name: 'everybody refuses the leaked one: until all are told', ms: 50 },
    { name: 'the last place is seen to refuse', ms: 10 },
  ])
})
