import { CredentialSpec } from '@rekey/contracts'
import type { Seen, ToObserve } from '@rekey/ledger'
import { describe, expect, test, vi } from 'vitest'
import { observeDrains } from './observe.ts'

const spec = CredentialSpec.parse({
  workload: 'shop',
  purpose: 'database',
  direction: 'outbound',
  authority: {
    kind: 'postgres-role-pair',
    pair: 'shop_app',
    owner: 'shop_owner',
    connection: 'shop',
    endpoints: [{ name: 'primary', url: 'postgres://127.0.0.1/shop' }],
  },
  stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/db' }],
})

function watch(sessions: (generation: number) => Promise<number>, generations = [1, 2]) {
  const told: Seen[][] = []
  const warn = vi.fn()
  const due: ToObserve[] = [{ credential: 'db', spec, generations, keyIds: {} }]
  const observation = observeDrains({
    ledger: {
      toObserve: async () => due,
      recordObservation: async (_, seen) => void told.push(seen),
      onEffects: () => ({ close: async () => {} }) as never,
    },
    authorityOf: () => ({ kind: 'memory', sessions }),
    logger: { warn, info: vi.fn(), error: vi.fn(), debug: vi.fn() } as never,
  })
  return { told, warn, observation }
}

describe('what is drained', () => {
  test('is asked for of the authority, each generation', async () => {
    const { told, observation } = watch(async (generation) => generation * 10)
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(1), { timeout: 5_000 })
    await observation.close()
    expect(told[0]).toEqual([
      { generation: 1, sessions: 10, ageMs: expect.any(Number) },
      { generation: 2, sessions: 20, ageMs: expect.any(Number) },
    ])
  })

  test('is not said to be unused where the authority does not answer', async () => {
    let asked = 0
    const { told, warn, observation } = watch(async () => {
      asked++
      throw new Error('away')
    })
    await vi.waitFor(() => expect(asked).toBeGreaterThan(3), { timeout: 5_000 })
    await observation.close()
    expect(told).toEqual([])
    expect(warn).toHaveBeenCalledTimes(1)
  })
})
