import type { DesiredState } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { stateOf } from '../test/fake-agent.ts'
import { FakeLedger } from '../test/fake-ledger.ts'
import { until } from '../test/until.ts'
import { Delivery } from './delivery.ts'
import type { NodeSession } from './node-session.ts'
import { Sessions } from './sessions.ts'

function setUp(nodes: string[]) {
  const ledger = new FakeLedger()
  const sessions = new Sessions()
  const pushed: string[] = []
  nodes.forEach((node, at) => {
    ledger.states.set(node, [stateOf(2, [2], { refuse: [1] })])
    const push = (states: DesiredState[]) => void pushed.push(`${node} ${states.length}`)
    sessions.enter({ node, session: at + 1, push } as unknown as NodeSession)
  })
  return { ledger, sessions, pushed }
}

test('a node whose rights cannot be written does not keep the orders from the others', async () => {
  const { ledger, sessions, pushed } = setUp(['gw-1', 'gw-2', 'gw-3'])
  let answer = () => {}
  const silence = new Promise<void>((resolve) => {
    answer = resolve
  })
  const delivery = new Delivery(ledger, sessions, {
    allow: (node) => (node === 'gw-1' ? silence : Promise.resolve()),
  })
  const done = delivery.reconcile()
  await until('the others are told', () => pushed.length === 2, 1_000)
  expect(pushed).toEqual(['gw-2 1', 'gw-3 1'])
  answer()
  await done
  expect(pushed).toEqual(['gw-2 1', 'gw-3 1', 'gw-1 1'])
})

const allowed = { allow: () => Promise.resolve() }

test('an emergency is told at once, and its wake-up asks for nothing more', async () => {
  const { ledger, sessions, pushed } = setUp(['gw-1', 'gw-2'])
  const delivery = new Delivery(ledger, sessions, allowed)
  ledger.emergencies.push({ effect: 'chat-g3.deliver.r2', nodes: ['gw-1', 'gw-2', 'elsewhere'] })
  await delivery.hurry()
  expect(pushed).toEqual(['gw-1 1', 'gw-2 1'])
  await delivery.hurry()
  await delivery.deliver({ effect: 'chat-g3.deliver.r2', nodes: ['gw-1', 'gw-2'] })
  expect(ledger.asked).toEqual([2])
  await delivery.deliver({ effect: 'chat-g3.deliver.r3', nodes: ['gw-1'] })
  expect(ledger.asked).toEqual([2, 1])
})

test('where an emergency could not be told, its wake-up tells it', async () => {
  const { ledger, sessions, pushed } = setUp(['gw-1'])
  let failing = true
  const failingOnce = {
    urgent: () => ledger.urgent(),
    desiredStates: async (nodes: string[]) => {
      if (!failing) return ledger.desiredStates(nodes)
      failing = false
      throw new Error('away')
    },
  }
  const delivery = new Delivery(failingOnce, sessions, allowed)
  ledger.emergencies.push({ effect: 'chat-g3.deliver.r2', nodes: ['gw-1'] })
  await expect(delivery.hurry()).rejects.toThrow('away')
  expect(pushed).toEqual([])
  await delivery.deliver({ effect: 'chat-g3.deliver.r2', nodes: ['gw-1'] })
  expect(pushed).toEqual(['gw-1 1'])
})

test('of a large fleet some are looked after at a time, and in turn all are', async () => {
  const nodes = Array.from({ length: 4_500 }, (_, at) => `gw-${String(at).padStart(4, '0')}`)
  const { ledger, sessions, pushed } = setUp(nodes)
  const delivery = new Delivery(ledger, sessions, allowed)
  const rounds: number[] = []
  for (let round = 0; round < 4; round++) {
    await delivery.reconcile()
    rounds.push(pushed.length)
  }
  expect(rounds).toEqual([2_000, 4_000, 4_500, 6_500])
  expect(new Set(pushed.slice(0, 4_500)).size).toBe(4_500)
  expect(pushed.slice(4_500)).toEqual(pushed.slice(0, 2_000))
})
