import type { Lane, Waiting } from '@rekey/ledger'
import { NoAnswer } from '@rekey/queues'
import { expect, test } from 'vitest'
import { relay, resendAfter } from './relay.ts'

/** A ledger with one effect to wake for, and queues that note what they are given. */
function setUp(effect: Partial<Waiting>) {
  const asked: Lane[] = []
  const added: [queue: string, id: string, nodes: number | undefined][] = []
  const waiting: Waiting = { key: 'k', relays: 3, kind: 'stage', rotation: 'r', nodes: [], ...effect }
  const quiet = () => undefined
  const run = (lane: Lane) =>
    relay({
      ledger: {
        takeWaiting: async (_resendMs: number, wanted?: Lane) => {
          if (wanted) asked.push(wanted)
          return [waiting]
        },
        lease: async () => ({ effect: { key: 'k' }, attempt: 1 }),
        complete: async () => 'recorded',
        instancesOf: async (nodes: string[]) => new Map([['fleet-a', nodes]]),
      } as never,
      queues: {
        isReady: () => true,
        async add(queue, id, job) {
          added.push([queue, id, job.nodes?.length])
        },
      },
      logger: { debug: quiet, warn: quiet } as never,
      resendMs: 1_000,
      lane,
    })
  return { run, asked, added }
}

test('wakes each lane’s workers for its own effects', async () => {
  const { run, asked, added } = setUp({})
  await run('emergency')
  await run('routine')
  expect(asked).toEqual(['emergency', 'routine'])
  expect(added).toEqual([
    ['emergency-rotator', 'k.3', undefined],
    ['rotator', 'k.3', undefined],
  ])
})

test('sends an emergency’s deliveries past the others, cell by cell', async () => {
  const { run, added } = setUp({ kind: 'deliver', nodes: Array.from({ length: 150 }, (_, i) => `n${i}`) })
  await run('emergency')
  await run('routine')
  expect(added).toEqual([
    ['emergency-fleet-fleet-a', 'k.3.0', 100],
    ['emergency-fleet-fleet-a', 'k.3.1', 50],
    ['fleet-fleet-a', 'k.3.0', 100],
    ['fleet-fleet-a', 'k.3.1', 50],
  ])
})

test('sends a wake-up again later where many wait before it: it is not lost, its turn has not come', async () => {
  const after = (waiting: () => Promise<number>) => resendAfter({ isReady: () => true, waiting }, 2_000)
  expect(await after(async () => 0)).toBe(2_000)
  expect(await after(async () => 10_000)).toBeGreaterThanOrEqual(60_000)
  expect(await after(() => Promise.reject(new NoAnswer('Redis does not answer')))).toBe(2_000)
})
