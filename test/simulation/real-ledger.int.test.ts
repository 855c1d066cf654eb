import { expect, inject, test } from 'vitest'
import { asText } from './ledger.ts'
import { type Heard, repeat } from './repeat.ts'
import { live } from './run.ts'
import { configurable, draw } from './scenario.ts'
import { openVirtualLedger } from './virtual-clock.ts'

const SEEDS = process.env.REKEY_DEEP === '1' ? 50 : 6

const worlds = Array.from({ length: SEEDS }, (_, i) => 900_001 + i)

/** Some more, in which people pause credentials. */
for (let seed = 900_001 + SEEDS; worlds.length < SEEDS + 2; seed++)
  if (draw(seed).orders.some(({ kind }) => kind === 'pause')) worlds.push(seed)

test.each(worlds)(
  'the real ledger answers as the one in memory does, call by call, in world %i',
  async (seed) => {
    const scenario = configurable(draw(seed))
    const heard: Heard[] = []
    const run = await live(scenario, { onCall: (call, at) => heard.push({ ...call, at }) })
    expect(run.violation?.message).toBeUndefined()
    const real = await openVirtualLedger(inject('stack').postgresUrl)
    try {
      const difference = await repeat(heard, real, scenario)
      expect(difference, difference).toBeUndefined()
      const kept = run.journal.map((entry) => asText({ ...entry, at: new Date(entry.at).toISOString() }))
      const stored = (await real.ledger.journal({ limit: 1_000_000 })).map((entry) => asText(entry))
      expect(stored).toEqual(kept)
    } finally {
      await real.close()
    }
  },
  600_000,
)
