import { type Document, Document as DocumentSchema, RekeyError } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import { memoryLedger } from '@rekey/testing/ledger'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import type { FleetLedger } from './fleet-ledger.ts'
import { type Ledger, migrate, openLedger } from './index.ts'

/** How nodes come in with a certificate: the same in PostgreSQL and in memory, but for the words of a refusal. */

const WORKLOADS = ['chat', 'web']
const documents: Document[] = WORKLOADS.map((name) =>
  DocumentSchema.parse({
    apiVersion: 'rekey.dev/v1',
    kind: 'Workload',
    metadata: { name },
    spec: { spiffeId: `spiffe://prod.example/${name}`, environment: 'prod', owner: 'team' },
  }),
)

type Joined = Pick<Ledger, 'createJoinToken' | 'declareGone'> & {
  fleet: Pick<FleetLedger, 'joinByIdentity' | 'redeemJoinToken'>
  journal(filter: { stream: string }): Promise<{ type: string; data: unknown; actor: string }[]>
}

let real: Ledger
beforeEach(async () => {
  const name = `joining_${crypto.randomUUID().replaceAll('-', '')}`
  const url = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(url)
  real = openLedger({ url, name: 'test' })
})
afterEach(() => real.close())

const ledgers: [string, () => Promise<Joined>][] = [
  [
    'PostgreSQL',
    async () => {
      await real.configure(documents, { apply: true, actor: 'anna' })
      return real
    },
  ],
  [
    'memory',
    async () => {
      const memory = memoryLedger({ clock: () => Date.now() })
      for (const name of WORKLOADS) memory.addWorkload({ name, environment: 'prod' })
      return memory
    },
  ],
]

describe.each(ledgers)('a node with a certificate, in %s', (_where, open) => {
  let ledger: Joined
  beforeEach(async () => {
    ledger = await open()
  })

  const svid = (workload: string) => `spiffe://prod.example/rekey/${workload}/n1`
  const join = (workload = 'chat') =>
    ledger.fleet.joinByIdentity({ node: 'n1', workload, svid: svid(workload) }).then(
      (joined) => joined.workload,
      (error: unknown) => (RekeyError.is(error) ? error.code : error),
    )
  const invite = (workload: string) =>
    ledger.createJoinToken({ node: 'n1', workload, ttlMs: 60_000, actor: 'anna' })
  const journal = async () =>
    (await ledger.journal({ stream: 'node/n1' })).map(({ type, data, actor }) => ({ type, data, actor }))

  test('comes in again and again, and the journal says with which certificate', async () => {
    expect([await join(), await join()]).toEqual(['chat', 'chat'])
    const entry = {
      type: 'NodeEnrolled',
      data: expect.objectContaining({ node: 'n1', workload: 'chat', svid: svid('chat') }),
      actor: 'node/n1',
    }
    expect(await journal()).toEqual([entry, entry])
  })

  test('of a workload that nobody has declared does not come in', async () => {
    expect(await join('unknown')).toBe('not_found')
    expect(await journal()).toEqual([])
  })

  test('leaves an open token alone, which enrols it too, and then says nothing of a certificate', async () => {
    expect(await join()).toBe('chat')
    const { token } = await invite('chat')
    expect(await join()).toBe('chat')
    expect(await ledger.fleet.redeemJoinToken('n1', token)).toMatchObject({ workload: 'chat' })
    const last = (await journal()).at(-1)
    expect(last?.type).toBe('NodeEnrolled')
    expect(last?.data).not.toHaveProperty('svid')
  })

  test('moves to another workload only where somebody invited it there, once', async () => {
    expect(await join('chat')).toBe('chat')
    expect(await join('web')).toBe('not_allowed_now')
    await ledger.declareGone('n1', 'anna', 'it shall serve web')
    expect([await join('web'), await join('chat')]).toEqual(['not_allowed_now', 'not_allowed_now'])
    const { token } = await invite('web')
    expect(await join('chat')).toBe('not_allowed_now')
    expect(await join('web')).toBe('web')
    expect(await ledger.fleet.redeemJoinToken('n1', token)).toBeUndefined()
    expect(await join('chat')).toBe('not_allowed_now')
    expect(await join('web')).toBe('web')
  })

  test('that was declared gone stays gone until somebody invites it', async () => {
    expect(await join()).toBe('chat')
    await ledger.declareGone('n1', 'anna', 'stolen')
    expect([await join(), await join()]).toEqual(['not_allowed_now', 'not_allowed_now'])
    await invite('chat')
    expect([await join(), await join()]).toEqual(['chat', 'chat'])
  })
})

test('a refusal says what a human can do', async () => {
  await real.configure(documents, { apply: true, actor: 'anna' })
  const join = (workload: string) =>
    real.fleet.joinByIdentity({ node: 'n1', workload, svid: 'spiffe://prod.example/x' })
  await join('chat')
  await expect(join('web')).rejects.toThrow(
    'node n1 serves chat: if it shall move, declare it gone, and make a join token for it',
  )
  await real.declareGone('n1', 'anna', 'stolen')
  await expect(join('chat')).rejects.toThrow(
    'node n1 was declared gone: if it shall come back, make a join token for it',
  )
  await expect(join('none')).rejects.toThrow('there is no workload named none')
})

test('of two enrolments at once, for two workloads, one comes in', async () => {
  await real.configure(documents, { apply: true, actor: 'anna' })
  for (let i = 0; i < 10; i++) {
    const join = (workload: string) =>
      real.fleet.joinByIdentity({ node: `n${i}`, workload, svid: 'spiffe://prod.example/x' })
    const outcomes = await Promise.allSettled([join('chat'), join('web')])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  }
})
