import type { Leased } from '@rekey/ledger'
import { expect, test } from 'vitest'
import { takeDelivery } from './delivery-effect.ts'

function setUp(leased: Leased | undefined, handOver = async () => {}) {
  const did: string[] = []
  const options: Parameters<typeof takeDelivery>[1] = {
    ledger: {
      lease: async (_key, by) => {
        did.push(`leased by ${by}`)
        return leased
      },
      complete: async (_leased, result) => {
        did.push(`done: ${result.kind}`)
        return 'recorded' as const
      },
    },
    delivery: {
      async deliver({ nodes = [] }) {
        did.push(`told ${nodes.join(' ')}`)
        await handOver()
      },
    },
    worker: 'one',
  }
  return { did, take: () => takeDelivery('r.deliver.r1', options) }
}

const delivery = { effect: { kind: 'deliver', nodes: ['gw-1', 'gw-2'] } } as unknown as Leased

test('a delivery is done once it is handed over', async () => {
  const { did, take } = setUp(delivery)
  await take()
  expect(did).toEqual(['leased by fleet/one', 'told gw-1 gw-2', 'done: deliver'])
})

test('a delivery that another worker has is left to it', async () => {
  const { did, take } = setUp(undefined)
  await take()
  expect(did).toEqual(['leased by fleet/one'])
})

test('a delivery that could not be handed over is not done', async () => {
  const { did, take } = setUp(delivery, () => Promise.reject(new Error('the ledger is away')))
  await expect(take()).rejects.toThrow('away')
  expect(did).not.toContain('done: deliver')
})
