import { RekeyError } from '@rekey/contracts'
import { errorOf, wordsOf } from './failure.ts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type LeaseFacts = {
  /** Vault's clock, milliseconds since the epoch. */
  issuedAt: number
  expiresAt: number
  /** Below zero where Vault could not end it in time: it tries again, and gives up some day. */
  secondsLeft: number
  /** Somebody has asked for a longer life at least once. */
  wasRenewed: boolean
}

/** Leases by their ids, `<path>/<random>`, which are no secret. */
export type VaultLeases = {
  /** The last parts of the ids of all leases below a path. */
  leaseList(path: string, bound?: Bound): Promise<string[]>
  /** Undefined: there is none. */
  leaseLookup(id: string, bound?: Bound): Promise<LeaseFacts | undefined>
  /** Lets it live for so long from now on, or as long as its role allows. False: there is none. */
  leaseRenew(id: string, seconds: number, bound?: Bound): Promise<boolean>
  /** Done when what it is of is ended. Succeeds if it is gone already. */
  leaseRevoke(id: string, bound?: Bound): Promise<void>
}

/** Vault's answers to the id of a lease that it does not have: the first to a look, the second to a renewal. */
const GONE = /invalid lease|lease not found/i

export function vaultLeases(session: VaultSession): VaultLeases {
  /** The answer about one lease; undefined: there is none. */
  async function about(verb: 'lookup' | 'renew', id: string, rest: Record<string, unknown>, bound?: Bound) {
    const what = `${verb === 'lookup' ? 'look up' : 'renew'} the lease ${vaultPath(id)}`
    const body = { lease_id: id, ...rest }
    const request = { method: 'POST', path: `sys/leases/${verb}`, what, body, answers: [400] } as const
    const reply = await session.send(request, bound)
    if (reply.status === 200) return { what, body: reply.body }
    if (GONE.test(wordsOf(reply))) return undefined
    throw errorOf(reply, what)
  }

  return {
    async leaseList(path, bound) {
      const what = `list the leases of ${path}`
      // Vault's other form is the HTTP verb LIST, which proxies may not know.
      const request = {
        method: 'GET',
        path: vaultPath('sys/leases/lookup', path),
        what,
        query: { list: 'true' },
        answers: [404],
      } as const
      const reply = await session.send(request, bound)
      const keys = isRecord(reply.body.data) ? reply.body.data.keys : undefined
      return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : []
    },

    async leaseLookup(id, bound) {
      const found = await about('lookup', id, {}, bound)
      return found && factsFrom(found.body.data, found.what)
    },

    leaseRenew: async (id, seconds, bound) =>
      (await about('renew', id, { increment: seconds }, bound)) !== undefined,

    async leaseRevoke(id, bound) {
      const what = `revoke the lease ${vaultPath(id)}`
      // Else Vault answers before it has begun.
      const body = { lease_id: id, sync: true }
      await session.send({ method: 'POST', path: 'sys/leases/revoke', what, body }, bound)
    },
  }
}

function factsFrom(data: unknown, what: string): LeaseFacts {
  const facts = isRecord(data) ? data : {}
  const issuedAt = Date.parse(String(facts.issue_time))
  const wasRenewed = typeof facts.last_renewal === 'string'
  // Of what Vault has given up to end it says no end.
  if (facts.expire_time === null && !Number.isNaN(issuedAt))
    return { issuedAt, expiresAt: issuedAt, secondsLeft: Number.NEGATIVE_INFINITY, wasRenewed }
  const expiresAt = Date.parse(String(facts.expire_time))
  if (Number.isNaN(issuedAt) || Number.isNaN(expiresAt) || typeof facts.ttl !== 'number')
    throw new RekeyError('bad_response', `${what}: Vault left out when it began, or ends`)
  return { issuedAt, expiresAt, secondsLeft: facts.ttl, wasRenewed }
}
