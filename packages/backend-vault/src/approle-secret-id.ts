import {
  type Authority,
  type Call,
  type Minted,
  RekeyError,
  type VaultAppRoleSecretIdSpec,
} from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import { trySecretId } from './try-secret-id.ts'
import { unfit } from './unfit-role.ts'

/** Vault knows no limit. Rekey keeps to what every outbound credential has: the one in use, and the next. */
const SLOTS = 2

/**
 * More logins than any secret id sees. Vault counts the logins of a secret id, and keeps when the last one was, only where
 * their number is limited.
 */
const USES = 1_000_000_000

/** The name of the metadata that a secret id of Rekey's has, and each token that is issued for it. */
const MARK = 'rekey'

export type AppRoleSecretIdOptions = {
  /** The credential's name: with the generation it marks what is Rekey's. */
  credential: string
  /** The accessors of the secret ids that were kept, by generation. */
  keyIds: Readonly<Record<number, string>>
  /** For how long after its making a worker that was slow may keep a secret id. Longer than any attempt may act. */
  keptWithinMs?: number
}

/**
 * The secret ids of one AppRole. Vault makes the value, and shows it once. What Rekey made bears a mark, and nothing else is
 * ever ended.
 */
export function appRoleSecretId(
  vault: VaultClient,
  {
    mount,
    role,
    tokenMaxMs,
    endTokens,
  }: Omit<VaultAppRoleSecretIdSpec, 'kind' | 'connection' | 'refusalLagMs'>,
  { credential, keyIds, keptWithinMs = 30_000 }: AppRoleSecretIdOptions,
): Authority {
  const place = { mount, role }
  const markOf = (generation: number) => `${credential}/${generation}`
  const roleId = (call: Pick<Call, 'signal'>) => vault.appRoleId(role, { mount, signal: call.signal })

  /** Those of `accessors` that bear the mark of a generation, with what Vault says of each. */
  async function marked(accessors: readonly string[], generation: number, call: Call) {
    const found = []
    for (const accessor of accessors) {
      const facts = await vault.secretIdLookup(place, accessor, call)
      if (facts?.metadata[MARK] === markOf(generation)) found.push({ accessor, ...facts })
    }
    return found
  }

  /** Nobody has what was made for this generation after `known` was noted, and is in no store. */
  async function clearOrphans(unknown: readonly string[], generation: number, call: Call): Promise<void> {
    for (const { accessor, createdAt, usesLeft } of await marked(unknown, generation, call)) {
      if (usesLeft !== USES)
        throw new RekeyError(
          'foreign_writer',
          `${role} has the secret id ${accessor}, which Rekey made and could not keep, and which is used`,
        )
      if (Date.now() < createdAt + keptWithinMs)
        throw new RekeyError(
          'backend_unavailable',
          `the secret id ${accessor} of ${role} was made a moment ago, and a worker that was slow may keep it yet`,
        )
      await vault.secretIdDestroy(place, accessor, call)
    }
  }

  async function refuseUnfit(call: Call): Promise<void> {
    const why = unfit(await vault.appRoleLimits(place, call), place, tokenMaxMs)
    if (why !== undefined) throw new RekeyError('invalid_configuration', why)
  }

  async function refuseLockout(call: Call): Promise<void> {
    if (await vault.loginLocksOut(mount, call))
      throw new RekeyError(
        'invalid_configuration',
        `some logins with an ended secret id would lock out every client of ${role}: vault auth tune -user-lockout-disable=true ${mount}/`,
      )
  }

  function refuseMore(listed: readonly string[], generation: number): void {
    const live = Object.entries(keyIds).filter(([of, id]) => of !== `${generation}` && listed.includes(id))
    if (live.length < SLOTS) return
    const which = live.map(([of]) => of).join(' and ')
    throw new RekeyError(
      'not_allowed_now',
      `generations ${which} of ${credential} are valid at ${role}, and one of them must end first`,
    )
  }

  return {
    kind: 'vault-approle-secret-id',
    direction: 'outbound',
    slots: SLOTS,
    valueFrom: 'provider',

    list: (call) => vault.secretIdList(place, call),

    async mint(known, call, generation): Promise<Minted> {
      // Later ones are not kept up by what was changed meanwhile: an emergency must get its value.
      if (Object.keys(keyIds).length === 0) {
        await refuseUnfit(call)
        await refuseLockout(call)
      }
      const noted = new Set(known)
      const listed = await vault.secretIdList(place, call)
      await clearOrphans(
        listed.filter((accessor) => !noted.has(accessor)),
        generation,
        call,
      )
      refuseMore(listed, generation)
      const metadata = { [MARK]: markOf(generation) }
      const { accessor, secretId } = await vault.secretIdMake(place, { metadata, uses: USES }, call)
      return { keyId: accessor, value: secretId }
    },

    discard: (keyId, call) => vault.secretIdDestroy(place, keyId, call),

    async install({ generation, keyId, value }, call) {
      const login = { mount, roleId: await roleId(call), secretId: value }
      if ((await vault.tryLogin(login, call)) === 'accepted') return
      const isThere = await vault.secretIdLookup(place, keyId, call)
      if (!isThere)
        throw new RekeyError('not_allowed_now', `the secret id ${keyId} of generation ${generation} is gone`)
      throw new RekeyError('backend_unavailable', `Vault does not accept the secret id ${keyId} yet`)
    },

    async revoke(generation, call) {
      const id = keyIds[generation]
      if (id !== undefined) return vault.secretIdDestroy(place, id, call)
      // Given up before it was known under which name it was made.
      const listed = await vault.secretIdList(place, call)
      for (const { accessor } of await marked(listed, generation, call))
        await vault.secretIdDestroy(place, accessor, call)
    },

    /** Says nothing where a client could go on for longer without a login. One that is gone was not used since. */
    async lastUsed(generation, call) {
      const id = keyIds[generation]
      if (id === undefined) return null
      await refuseUnfit(call)
      const facts = await vault.secretIdLookup(place, id, call)
      if (facts?.usesLeft === 0)
        throw new RekeyError('invalid_configuration', `Vault does not count the logins of ${id}`)
      return facts && facts.usesLeft !== USES ? facts.updatedAt : null
    },

    ...(endTokens && {
      endSessions: (generation: number, call: Call) =>
        vault.tokensEnd(
          { path: `auth/${mount}/login`, metadata: { key: MARK, value: markOf(generation) } },
          call,
        ),
    }),

    probe: async (value, call) => [
      {
        endpoint: 'vault',
        ...(await trySecretId(vault, { mount, roleId: () => roleId(call) }, value, call)),
      },
    ],
  }
}
