import {
  type Authority,
  type Call,
  type Minted,
  type ProbeResult,
  RekeyError,
  type Secret,
  spanMs,
  type VaultDatabaseDynamicSpec,
} from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import type { MadeLogin } from './database.ts'
import { isStrong, weakPassword } from './strong-password.ts'
import { unfitDatabaseRole } from './unfit-database-role.ts'

/** Vault knows no limit. Rekey keeps to what every outbound credential has: the one in use, and the next. */
const SLOTS = 2

/** A token outlives the lease of its login by this, so that the lease alone says when that ends. */
const TOKEN_MARGIN_MS = 3_600_000

/** So long past its end a lease may still be about to go; later Vault has failed to end it, and tries on. */
const ENDING_S = 10

/** What Vault rounds away, and what passes between an answer and the next call. */
const ROUNDING_MS = 60_000

/** For ending what this attempt made and cannot keep, also where its own time is over. */
const CLEARING_MS = 1_000

/** What is done at the database itself, and not through Vault. */
export type DatabaseLogins = {
  valueOf(login: { username: string; password: string }): Secret
  /** How many sessions of this user are open. */
  sessions(username: string, call: Call): Promise<number>
  /** Logs in at each endpoint as a client does. Whatever it sees is a verdict: it throws nothing. */
  probe(value: Secret, call: Call): Promise<ProbeResult[]>
}

export type DatabaseDynamicOptions = {
  /** The credential's name, for whoever looks at the tokens of Vault. */
  credential: string
  /** `<user>/<lease>` of the logins that were kept, by generation. */
  keyIds: Readonly<Record<number, string>>
  logins: DatabaseLogins
  /** For how long after its making a worker that was slow may keep a login. Longer than any attempt may act. */
  keptWithinMs?: number
}

/**
 * The logins of one role of the database secrets engine. Each is asked for with a token of its own, because Vault ends it with
 * that token. It lives for minutes, until a store has it and its lease is renewed: so what was lost ends by itself, and
 * Rekey never ends a lease that it does not know to be its own.
 */
export function databaseDynamic(
  vault: VaultClient,
  {
    mount,
    role,
    tokenRole,
    leaseMax,
  }: Pick<VaultDatabaseDynamicSpec, 'mount' | 'role' | 'tokenRole' | 'leaseMax'>,
  { credential, keyIds, logins, keptWithinMs = 30_000 }: DatabaseDynamicOptions,
): Authority {
  const place = { mount, role }
  const path = `${mount}/creds/${role}`
  const leaseMaxMs = spanMs(leaseMax)
  const leaseOf = (keyId: string) => keyId.slice(keyId.lastIndexOf('/') + 1)
  const userOf = (keyId: string) => keyId.slice(0, keyId.lastIndexOf('/'))
  const idOf = (keyId: string) => `${path}/${leaseOf(keyId)}`
  const goneOf = (keyId: string, why: string) =>
    new RekeyError(
      'not_allowed_now',
      `the login ${userOf(keyId)} of ${role} is gone: Vault ended its lease ${leaseOf(keyId)}${why}`,
    )

  /** Leases by the names that the ledger has for them; of others there is no more than the lease. */
  async function list(call: Call): Promise<string[]> {
    const ours = new Map(Object.values(keyIds).map((keyId) => [leaseOf(keyId), keyId]))
    return (await vault.leaseList(path, call)).map((lease) => ours.get(lease) ?? lease)
  }

  async function refuseUnfit(call: Call): Promise<void> {
    const facts = await vault.databaseRole(place, call)
    const why = unfitDatabaseRole(facts, place, { leaseMaxMs, pendingMinMs: keptWithinMs })
    if (why !== undefined) throw new RekeyError('invalid_configuration', why)
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

  /** What an attempt made and could not keep is never renewed. Whose it is cannot be seen, and it ends by itself. */
  async function awaitOrphans(unknown: readonly string[], call: Call): Promise<void> {
    for (const lease of unknown) {
      const facts = await vault.leaseLookup(`${path}/${lease}`, call)
      if (!facts || facts.wasRenewed || facts.secondsLeft < -ENDING_S) continue
      throw new RekeyError(
        'backend_unavailable',
        `the lease ${lease} of ${role} is new, and nobody has kept it: it ends in ${Math.max(facts.secondsLeft, 0)} s, and if others appear, somebody else asks for logins of this role`,
      )
    }
  }

  async function make(generation: number, call: Call): Promise<MadeLogin> {
    const mark = `${credential}/${generation}`
    const seconds = Math.ceil((leaseMaxMs + TOKEN_MARGIN_MS) / 1000)
    const about = { seconds, metadata: { rekey: mark }, displayName: 'rekey' }
    const token = await vault.tokenMake(tokenRole, about, call)
    try {
      const login = await vault.databaseLogin(place, token, call)
      if (isStrong(login.password)) return login
      throw weakPassword(role)
    } catch (error) {
      // What was made for an answer that got lost ends with its token, and else by itself.
      await vault.tokenRevoke(token, { signal: AbortSignal.timeout(CLEARING_MS) }).catch(() => undefined)
      throw error
    }
  }

  return {
    kind: 'vault-database-dynamic',
    direction: 'outbound',
    slots: SLOTS,
    valueFrom: 'provider',

    list,

    async mint(known, call, generation): Promise<Minted> {
      // An emergency must get its value, whatever somebody has made of the role meanwhile.
      if (!call.urgent || Object.keys(keyIds).length === 0) await refuseUnfit(call)
      const listed = await list(call)
      refuseMore(listed, generation)
      const noted = new Set([...known, ...Object.values(keyIds)].map(leaseOf))
      const unknown = listed.filter((lease) => !noted.has(leaseOf(lease)))
      // Nor does it wait for what ends anyhow.
      if (!call.urgent) await awaitOrphans(unknown, call)
      const { username, password, leaseId } = await make(generation, call)
      const value = logins.valueOf({ username, password: password.reveal() })
      return { keyId: `${username}/${leaseOf(leaseId)}`, value }
    },

    async keep(keyId, call) {
      const id = idOf(keyId)
      const isThere = await vault.leaseRenew(id, leaseMaxMs / 1000, call)
      const facts = isThere ? await vault.leaseLookup(id, call) : undefined
      if (!facts) throw goneOf(keyId, ' before it was renewed. Roll back, and rotate again')
      const lives = facts.expiresAt - facts.issuedAt
      if (call.urgent || lives >= leaseMaxMs - ROUNDING_MS) return
      throw new RekeyError(
        'invalid_configuration',
        `Vault lets logins of ${role} live for ${Math.round(lives / 1000)} s, and leaseMax is ${leaseMax}: vault write ${mount}/roles/${role} max_ttl=${leaseMaxMs / 1000}s, and vault secrets tune -max-lease-ttl=${leaseMaxMs / 1000}s ${mount}/`,
      )
    },

    discard: (keyId, call) => vault.leaseRevoke(idOf(keyId), call),

    async install({ keyId, value }, call) {
      if (!(await vault.leaseLookup(idOf(keyId), call))) throw goneOf(keyId, '')
      const tried = await logins.probe(value, call)
      const faulty = tried.find(({ verdict }) => verdict !== 'accepted')
      if (!faulty) return
      if (call.signal.aborted)
        throw new RekeyError('backend_timeout', `the new login was not tried at ${faulty.endpoint} in time`)
      // It may have been ended meanwhile.
      if (!(await vault.leaseLookup(idOf(keyId), call))) throw goneOf(keyId, '')
      const { endpoint, seen } = faulty
      throw new RekeyError(
        seen === '53300' ? 'throttled' : 'backend_unavailable',
        `the new login was tried at ${endpoint}: ${seen}`,
      )
    },

    /** What was never kept has no name here, and ends by itself. */
    async revoke(generation, call) {
      const keyId = keyIds[generation]
      if (keyId !== undefined) await vault.leaseRevoke(idOf(keyId), call)
    },

    sessions: async (generation, call) => {
      const keyId = keyIds[generation]
      return keyId === undefined ? 0 : logins.sessions(userOf(keyId), call)
    },

    probe: (value, call) => logins.probe(value, call),
  }
}
