import { type Authority, type Call, type Minted, RekeyError } from '@rekey/contracts'
import { accessKeyIn, processCredentials } from './access-key.ts'
import type { Iam } from './iam.ts'

/** IAM's own limit of keys for one user. */
const SLOTS = 2

export type IamAccessKeyOptions = {
  user: string
  /** The id of a generation's key, as it was kept when it was made; undefined: none was. */
  keyIdOf: (generation: number) => string | undefined
  /** For how long after its making a worker that was slow may keep a key. Longer than any attempt may act. */
  keptWithinMs?: number
  /** Until this age a key that nobody kept is only inactive, for the case that somebody has it after all. */
  soakMs?: number
}

/**
 * Access keys of one IAM user. AWS makes the value, and shows the secret half once. What is not known by its id is never
 * touched, but for keys that an attempt of ours made and could not keep.
 */
export function iamAccessKey(
  iam: Iam,
  { user, keyIdOf, keptWithinMs = 30_000, soakMs = 2 * keptWithinMs }: IamAccessKeyOptions,
): Authority {
  const statusOf = async (id: string, call: Call) =>
    (await iam.list(user, call)).find((key) => key.id === id)?.status

  /** Nobody has the secret of a key that was made after `known` was noted and is in no store. */
  async function clearOrphans(known: readonly string[], call: Call): Promise<void> {
    const listed = await iam.list(user, call)
    const ours = new Set(known)
    for (const { id, createdAt } of listed.filter((key) => !ours.has(key.id))) {
      if ((await iam.lastUsed(id, call)) !== null)
        throw new RekeyError(
          'foreign_writer',
          `${user} has the access key ${id}, which Rekey did not make, and which is used`,
        )
      const ageMs = Date.now() - createdAt
      if (ageMs < keptWithinMs)
        throw new RekeyError(
          'backend_unavailable',
          `the access key ${id} of ${user} was made a moment ago, and a worker that was slow may keep it yet`,
        )
      await iam.setStatus(user, id, 'Inactive', call)
      if (ageMs < soakMs)
        throw new RekeyError(
          'backend_unavailable',
          `the access key ${id} of ${user}, which nobody has, is inactive now and will be deleted`,
        )
      await iam.remove(user, id, call)
    }
    const kept = listed.filter((key) => ours.has(key.id))
    if (kept.length >= SLOTS)
      throw new RekeyError(
        'not_allowed_now',
        `${user} has ${kept.length} access keys (${kept.map(({ id }) => id).join(', ')}), and IAM allows no more`,
      )
  }

  return {
    kind: 'aws-iam-access-key',
    direction: 'outbound',
    slots: SLOTS,
    valueFrom: 'provider',

    list: async (call) => (await iam.list(user, call)).map(({ id }) => id),

    async mint(known, call): Promise<Minted> {
      await clearOrphans(known, call)
      const key = await iam.create(user, call)
      return { keyId: key.id, value: processCredentials(key) }
    },

    async discard(keyId, call) {
      await iam.setStatus(user, keyId, 'Inactive', call)
      await iam.remove(user, keyId, call)
    },

    async install({ generation, value }, call) {
      const key = accessKeyIn(value)
      if (!key) throw new RekeyError('value_refused', `generation ${generation} is no access key`)
      const status = await statusOf(key.id, call)
      if (status !== 'Active')
        throw new RekeyError(
          'not_allowed_now',
          `the access key ${key.id} of generation ${generation} ${status ? 'is suspended' : 'is gone'}`,
        )
      // A key is accepted some seconds after it was made, not at once everywhere.
      if ((await iam.tryKey(key, call)) === 'refused')
        throw new RekeyError('backend_unavailable', `AWS does not accept the access key ${key.id} yet`)
    },

    async suspend(generation, call) {
      const id = keyIdOf(generation)
      if (id !== undefined) await iam.setStatus(user, id, 'Inactive', call)
    },

    async reinstate(generation, call) {
      const id = keyIdOf(generation)
      const done = id === undefined ? 'absent' : await iam.setStatus(user, id, 'Active', call)
      if (done === 'absent')
        throw new RekeyError('not_allowed_now', `the access key of generation ${generation} is gone`)
    },

    async revoke(generation, call) {
      const id = keyIdOf(generation)
      if (id === undefined) return
      await iam.setStatus(user, id, 'Inactive', call)
      await iam.remove(user, id, call)
    },

    /** A key that is gone was not used since: nothing is left to drain. */
    lastUsed: async (generation, call) => {
      const id = keyIdOf(generation)
      return id === undefined ? null : iam.lastUsed(id, call)
    },

    probe: async (value, call) => [{ endpoint: 'sts', ...(await iam.tryValue(value, call)) }],
  }
}
