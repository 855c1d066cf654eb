import { expect, test } from 'vitest'
import { vaultLeases } from './leases.ts'
import type { VaultReply } from './session.ts'

const ID = 'database/creds/rekey-shop/G8oKaSeXKliLezWLWqI5n9pi'

/** A Vault that answers so, and what it was asked. */
function given(status: number, body: Record<string, unknown>) {
  const asked: unknown[] = []
  const send = async (request: unknown): Promise<VaultReply> => {
    asked.push(request)
    return { status, body }
  }
  return { asked, leases: vaultLeases({ addr: 'http://vault', send, close: () => {} }) }
}

const data = {
  id: ID,
  issue_time: '2026-11-22T12:16:00Z',
  expire_time: '2026-11-22T12:21:00Z',
  last_renewal: null,
  ttl: 299,
}

test('says when a lease ends, and whether anybody has renewed it', async () => {
  const issuedAt = Date.parse(data.issue_time)
  expect(await given(200, { data }).leases.leaseLookup(ID)).toEqual({
    issuedAt,
    expiresAt: issuedAt + 300_000,
    secondsLeft: 299,
    wasRenewed: false,
  })
  const renewed = { ...data, last_renewal: '2026-11-22T12:17:00Z' }
  expect(await given(200, { data: renewed }).leases.leaseLookup(ID)).toMatchObject({ wasRenewed: true })
})

test('takes what Vault has given up to end for over', async () => {
  const { leases } = given(200, { data: { ...data, expire_time: null, ttl: 0 } })
  expect((await leases.leaseLookup(ID))?.secondsLeft).toBe(Number.NEGATIVE_INFINITY)
})

test('knows a lease that is not there, and takes no other refusal for that', async () => {
  for (const words of ['invalid lease', 'lease not found']) {
    const { leases } = given(400, { errors: [words] })
    expect(await leases.leaseLookup(ID)).toBeUndefined()
    expect(await leases.leaseRenew(ID, 60)).toBe(false)
  }
  const { leases } = given(400, { errors: ['something else'] })
  await expect(leases.leaseLookup(ID)).rejects.toMatchObject({ code: 'invalid_configuration' })
  await expect(leases.leaseRenew(ID, 60)).rejects.toMatchObject({ code: 'invalid_configuration' })
})

test('does not guess what an answer leaves out', async () => {
  const { issue_time: _, ...rest } = data
  for (const body of [{ data: rest }, { data: { ...data, expire_time: 'soon' } }, {}])
    await expect(given(200, body).leases.leaseLookup(ID)).rejects.toMatchObject({ code: 'bad_response' })
})

test.each(['..', '../sys', 'a?b', 'a#b', 'a b', 'a\n', '', 'a%2e'])(
  'asks for no lease with %j in its id',
  async (part) => {
    const { asked, leases } = given(200, {})
    const id = `database/creds/rekey-shop/${part}`
    const works = [
      () => leases.leaseLookup(id),
      () => leases.leaseRenew(id, 60),
      () => leases.leaseRevoke(id),
      () => leases.leaseList(id),
    ]
    for (const work of works) await expect(work()).rejects.toMatchObject({ code: 'invalid_configuration' })
    expect(asked).toEqual([])
  },
)
