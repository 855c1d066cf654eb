import { describe, expect, test } from 'vitest'
import { asText } from './ledger.ts'
import { live, type Run } from './run.ts'
import { type ChangeEvent, draw, type Scenario } from './scenario.ts'

const AT = 1_000

/** A quiet world with one credential, that one change reaches. */
function quiet(seed: number, events: ChangeEvent[]): Scenario {
  const scenario = draw(seed)
  const [first] = scenario.credentials
  if (!first) throw new Error('a world has a credential')
  const credentials = [{ ...first, isAdopted: true, plan: { ...first.plan, slots: 2 as const } }]
  const nodes = [{ name: 'n1', joinsAt: 0, version: 'blue' }]
  const calm = { clients: [], orders: [], faults: [], failing: [] }
  return { ...scenario, ...calm, credentials, nodes, events, healsAt: 2_000 }
}

const change = (id: string, over: Partial<ChangeEvent> = {}): ChangeEvent => ({
  at: AT,
  id,
  type: 'vendorchanged',
  value: 'c',
  copies: 1,
  apartMs: 0,
  ...over,
})

/** Everything that was written but verdicts: an event that changes nothing is still judged. */
function written({ journal }: Run): string[] {
  return journal
    .filter((entry) => entry.stream !== 'intake')
    .map(({ stream, seq, type, data, actor, at }) => asText([stream, seq, type, data, actor, at]))
}

describe('10,000 duplicate, reordered and replayed events of one change', () => {
  test.each([11, 12, 13])(
    'give one rotation, and the same end as one event does, in world %i',
    async (seed) => {
      const once = await live(quiet(seed, [change('first')]))
      // The same event again and again, and fifty others that state the same, mixed.
      const others = Array.from({ length: 50 }, (_, i) =>
        change(`other ${i}`, { at: AT + 50 + 7 * ((i * 31) % 50), copies: 100, apartMs: 11 }),
      )
      const storm = [change('first'), change('first', { at: AT + 40, copies: 4_999, apartMs: 1 }), ...others]
      const often = await live(quiet(seed, storm))
      expect(once.violation?.message).toBeUndefined()
      expect(often.violation?.message).toBeUndefined()
      expect(often.outcomes).toEqual(['closed'])
      expect(written(often)).toEqual(written(once))
    },
  )
})
