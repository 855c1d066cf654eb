import type { AuditRecord } from '@rekey/ledger'
import { createLogger } from '@rekey/runtime'
import { expect, test } from 'vitest'
import { cutBatch } from './batch.ts'
import { sendAll } from './sending.ts'

const logger = createLogger({ service: 'auditor-test' })
logger.level = 'silent'

const record = (sequence: number, size = 10): AuditRecord => ({
  position: sequence,
  sequence,
  key: 'k',
  bytes: 'x'.repeat(size),
  hash: 'h',
})

test('repeats a failed batch with the very same records, though more have come meanwhile', async () => {
  const stored = [record(1), record(2)]
  const marked: number[] = []
  const sent: number[][] = []
  const health = { failing: false, behind: false }
  const seen: boolean[] = []
  await sendAll({
    ledger: {
      unsentRecords: async () => stored.filter((r) => !marked.includes(r.sequence)),
      markSent: async (sequences) => void marked.push(...sequences),
    },
    topic: {
      async send(records) {
        sent.push(records.map((r) => r.sequence))
        seen.push(health.failing)
        if (sent.length > 2) return
        stored.push(record(stored.length + 1))
        throw new Error('broker away')
      },
    },
    health,
    logger,
    signal: new AbortController().signal,
  })
  expect(sent).toEqual([
    [1, 2],
    [1, 2],
    [1, 2],
    [3, 4],
  ])
  expect(seen).toEqual([false, true, true, false])
  expect(marked).toEqual([1, 2, 3, 4])
})

test('leaves at once when it has to go, with nothing marked', async () => {
  const leaving = new AbortController()
  await sendAll({
    ledger: { unsentRecords: async () => [record(1)], markSent: () => expect.fail('marked') },
    topic: {
      send() {
        setTimeout(() => leaving.abort(), 5)
        return new Promise(() => undefined)
      },
    },
    health: { failing: false, behind: false },
    logger,
    signal: leaving.signal,
  })
})

test('a batch stays below the limit of the broker, and a large record goes alone', () => {
  const sizes = (records: AuditRecord[]) => cutBatch(records, 5_000).map((r) => r.sequence)
  expect(sizes([record(1, 1_000), record(2, 1_000), record(3, 1_000), record(4, 1_000)])).toEqual([1, 2, 3])
  expect(sizes([record(1, 9_000), record(2, 10)])).toEqual([1])
  expect(sizes([record(1, 10), record(2, 10)])).toEqual([1, 2])
  expect(sizes([])).toEqual([])
})
