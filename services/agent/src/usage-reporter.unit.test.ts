import type { AgentToFleet, ClientUse, UsageMessage } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { UsageReporter } from './usage-reporter.ts'

const use = (address: string, requests: number): ClientUse => ({
  generation: 1,
  address,
  requests,
  lastUseAgeMs: 5,
})

function given() {
  const now: { clients: ClientUse[] | undefined; graveyard: UsageMessage['graveyard']; requests: number } = {
    clients: undefined,
    graveyard: undefined,
    requests: 0,
  }
  const sent: UsageMessage[] = []
  const reporter = new UsageReporter({
    credential: 'chat',
    usage: async () => [{ generation: 1, inFlight: 0, lastUseAgeMs: 0, requests: now.requests }],
    clients: async () => now.clients,
    graveyard: async () => now.graveyard,
  })
  const rounds = async (count: number, session = 1) => {
    const from = sent.length
    for (let round = 0; round < count; round += 1)
      await reporter.report(session, (message: AgentToFleet) => void sent.push(message as UsageMessage))
    return sent.slice(from)
  }
  return { now, rounds }
}

test('says nothing of clients and graves where the software has none', async () => {
  const { rounds } = given()
  const all = await rounds(70)
  expect(all.length).toBeGreaterThan(10)
  for (const message of all)
    expect(Object.keys(message)).toEqual(['type', 'credential', 'session', 'generations'])
})

test('tells a new client soon, and how much each used it once in a while', async () => {
  const { now, rounds } = given()
  now.clients = [use('10.0.0.1', 1)]
  const [first] = await rounds(1)
  expect(first?.clients).toEqual([use('10.0.0.1', 1)])
  now.clients = [use('10.0.0.1', 500)]
  expect((await rounds(40)).filter((m) => m.clients)).toEqual([])
  now.clients = [use('10.0.0.1', 501), use('10.0.0.2', 1)]
  expect((await rounds(5)).filter((m) => m.clients)).toHaveLength(1)
  expect((await rounds(60)).filter((m) => m.clients)).toHaveLength(1)
})

test('tells a knock at once, a counted one too, and everything again to a new session', async () => {
  const { now, rounds } = given()
  now.graveyard = { watched: [1], knocks: [] }
  expect((await rounds(1))[0]?.graveyard).toEqual(now.graveyard)
  now.graveyard = { watched: [1], knocks: [use('10.0.0.9', 1)] }
  expect((await rounds(1))[0]?.graveyard).toEqual(now.graveyard)
  expect((await rounds(20)).filter((m) => m.graveyard)).toEqual([])
  now.graveyard = { watched: [1], knocks: [use('10.0.0.9', 2)] }
  expect((await rounds(3)).filter((m) => m.graveyard)).toHaveLength(1)
  expect((await rounds(1, 2))[0]?.graveyard).toEqual(now.graveyard)
})
