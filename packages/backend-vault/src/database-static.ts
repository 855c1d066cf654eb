import {
  type Authority,
  type Call,
  type Minted,
  RekeyError,
  type Secret,
  spanMs,
  type VaultDatabaseStaticSpec,
} from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import type { DatabaseLogins } from './database-dynamic.ts'
import { pauseFor } from './pause.ts'
import { idleRoles, isLastOf, liveBeside, nameOf, roleIn } from './static-turns.ts'
import { isStrong, weakPassword } from './strong-password.ts'
import { unfitStaticPair } from './unfit-static-pair.ts'

/** How often one attempt may have a password changed: once more, where what Vault has is not what PostgreSQL takes. */
const TURNS = 2
/** How long a password that was just changed may be refused: endpoints that are standbys replay it later. */
const LAG_MS = 3_000
const AGAIN_MS = 100
/** A call that came at the last moment is carried out after it, and clocks run differently. */
const MARGIN_MS = 250

export type StaticLogins = DatabaseLogins & {
  /** Ends all sessions of a user. */
  endSessions(username: string, call: Call): Promise<void>
}

type Fence = { token: Secret; madeAt: number }

export type DatabaseStaticOptions = {
  /** The credential's name, for messages. */
  credential: string
  /** `<role>/<moment>` of the passwords that were kept, by generation. */
  keyIds: Readonly<Record<number, string>>
  logins: StaticLogins
  /** How long the token lives that may change a password. A mint takes so long. */
  fenceMs?: number
}

/**
 * Two static roles of the database secrets engine that take turns: Vault changes the password of the idle one. `rotate-role` has no
 * condition, so its fence is time. Whoever changes a password does it by a token that was made before the look at what is there, and that
 * lives for seconds. What was minted is read when all tokens are dead that were made before its change: whoever looks
 * later sees that change, and makes none. So it is one value for all attempts, and no late call ends it.
 */
export function databaseStatic(
  vault: VaultClient,
  {
    mount,
    roles,
    tokenRole,
    rotationPeriod,
    refusalLagMs,
  }: Pick<VaultDatabaseStaticSpec, 'mount' | 'roles' | 'tokenRole' | 'rotationPeriod' | 'refusalLagMs'>,
  { credential, keyIds, logins, fenceMs = 3_000 }: DatabaseStaticOptions,
): Authority {
  const turns = { roles, keyIds }
  const fenceS = Math.max(1, Math.floor(fenceMs / 1000))
  const place = (role: string) => ({ mount, role })

  const shownBy = async (role: string, call: Call) =>
    nameOf(role, (await vault.staticRole(place(role), call)).rotatedAt)

  async function list(call: Call): Promise<string[]> {
    const [one, other] = roles
    return [await shownBy(one, call), await shownBy(other, call)]
  }

  const userOf = async (role: string, call: Call) => (await vault.staticRole(place(role), call)).username

  async function refuseUnfit(call: Call): Promise<void> {
    const seen = async (role: string) => ({ role, ...(await vault.staticRole(place(role), call)) })
    const pair = [await seen(roles[0]), await seen(roles[1])] as const
    const why = unfitStaticPair(pair, { mount, periodMs: spanMs(rotationPeriod) })
    if (why !== undefined) throw new RekeyError('invalid_configuration', why)
  }

  /** Whoever is logged in as the idle role has it from somewhere else, and would be cut off at the next login. */
  /** Where neither is live: what Vault's clock or a human has changed may be what nodes are logged in with. */
  async function pick(
    [first, other]: readonly string[],
    generation: number,
    call: Call,
  ): Promise<string | undefined> {
    const isFirst = Object.keys(keyIds).every((of) => of === `${generation}`)
    if (first === undefined || other === undefined || isFirst) return first
    // An emergency must get its value, also where sessions cannot be counted.
    const open = async (role: string) =>
      logins.sessions(await userOf(role, call), call).catch((error: unknown) => {
        if (call.urgent) return 0
        throw error
      })
    return (await open(first)) > 0 && (await open(other)) === 0 ? other : first
  }

  async function refuseInUse(role: string, call: Call): Promise<void> {
    if (call.urgent) return
    const user = await userOf(role, call)
    const open = await logins.sessions(user, call)
    if (open === 0) return
    throw new RekeyError(
      'foreign_writer',
      `${user} has ${open} open ${open === 1 ? 'session' : 'sessions'}, and no generation of ${credential} that is in use has the role ${role}: somebody else logs in with it, and the next generation would change its password`,
    )
  }

  /** Made before a look at what is there: what comes of that look must come before the token ends. */
  async function fence(call: Call): Promise<Fence> {
    const madeAt = performance.now()
    return { token: await vault.tokenForOneCall(tokenRole, fenceS, call), madeAt }
  }

  /** Where a role shows another name afterwards, its password is another one, whatever was answered, and to whom. */
  async function change(name: string, { token, madeAt }: Fence, call: Call): Promise<string> {
    const role = roleIn(name)
    try {
      await vault.staticRotate(place(role), token, call)
    } catch (error) {
      const shown = await shownBy(role, call).catch(() => name)
      if (shown !== name) return shown
      const isRefused = RekeyError.is(error) && error.code === 'permission_denied'
      if (!isRefused || performance.now() - madeAt < fenceS * 1000) throw error
      throw new RekeyError('backend_timeout', `rotate-role of ${role} came later than its token may`)
    }
    return shownBy(role, call)
  }

  /** Tokens that were made before a change are dead when as much time has passed since it was seen. */
  const awaitOthers = (call: Call) => pauseFor(fenceS * 1000 + MARGIN_MS, call)

  async function mint(known: readonly string[], call: Call, generation: number): Promise<Minted> {
    // An emergency must get its value, whatever somebody has made of the roles meanwhile.
    if (!call.urgent || Object.keys(keyIds).length === 0) await refuseUnfit(call)
    // Nobody may be given these: they were there before, or were seen not to work.
    const barred = new Set(known)
    let why = ''
    for (let turn = 0; turn < TURNS; turn++) {
      const until = await fence(call)
      const shown = await list(call)
      const role = await pick(idleRoles(generation, shown, turns), generation, call)
      const name = shown.find((one) => roleIn(one) === role)
      if (role === undefined || name === undefined) throw full(generation, shown)
      await refuseInUse(role, call)
      const isChanged = barred.has(name)
      if (isChanged) await change(name, until, call)
      await awaitOthers(call)
      const login = await vault.staticLogin(place(role), call)
      const keyId = nameOf(role, login.rotatedAt)
      if (barred.has(keyId))
        throw new RekeyError('bad_response', `${keyId} is not changed, Vault says it was`)
      barred.add(keyId)
      if (!isStrong(login.password)) {
        if (isChanged) throw weakPassword(role)
        continue
      }
      const value = logins.valueOf({ username: login.username, password: login.password.reveal() })
      const refused = await refusedBy(value, call)
      if (refused === undefined) return { keyId, value }
      why = refused
    }
    throw new RekeyError(
      'backend_unavailable',
      `the password that Vault has set for an idle role of ${credential} is not taken at any endpoint: ${why}`,
    )
  }

  const full = (generation: number, shown: readonly string[]) => {
    const which = liveBeside(generation, shown, turns).map(([of]) => of)
    return new RekeyError(
      'not_allowed_now',
      `generations ${which.join(' and ')} of ${credential} have the roles ${roles.join(' and ')}, and one of them must end first`,
    )
  }

  /** What was seen where every endpoint goes on refusing it; undefined: one takes it, or shows nothing. */
  async function refusedBy(value: Secret, call: Call): Promise<string | undefined> {
    const until = performance.now() + LAG_MS
    for (;;) {
      const seen = await logins.probe(value, call)
      if (!seen.every(({ verdict }) => verdict === 'refused')) return undefined
      if (performance.now() >= until) return seen.map((one) => one.seen).join()
      await pauseFor(AGAIN_MS, call)
    }
  }

  /**
   * Changes a password that its role still has, once: what it is then may be taken for the next generation, and nobody has it
   * before.
   */
  async function end(name: string, call: Call): Promise<void> {
    const role = roleIn(name)
    const until = await fence(call)
    const { username, password, rotatedAt } = await vault.staticLogin(place(role), call)
    if (nameOf(role, rotatedAt) !== name) return
    await change(name, until, call)
    const old = logins.valueOf({ username, password: password.reveal() })
    if (await staysAccepted(old, call))
      throw new RekeyError(
        'bad_response',
        `Vault has changed the password of ${role}, and the old one is still accepted: do its rotation_statements set it, at the server of the endpoints?`,
      )
  }

  async function staysAccepted(old: Secret, call: Call): Promise<boolean> {
    const until = performance.now() + refusalLagMs
    for (;;) {
      const seen = await logins.probe(old, call)
      if (!seen.some(({ verdict }) => verdict === 'accepted')) return false
      if (performance.now() >= until) return true
      await pauseFor(AGAIN_MS, call)
    }
  }

  async function expectShown(keyId: string, call: Call): Promise<void> {
    const shown = await shownBy(roleIn(keyId), call)
    if (shown === keyId) return
    throw new RekeyError(
      'not_allowed_now',
      `the password ${keyId} is gone: Vault has made another one for that role, ${shown}, by an order of Rekey, of somebody else, or of its own clock`,
    )
  }

  return {
    kind: 'vault-database-static',
    direction: 'outbound',
    slots: roles.length,
    valueFrom: 'provider',

    list,
    mint,
    discard: end,

    async install({ keyId, value }, call) {
      const until = performance.now() + LAG_MS
      for (;;) {
        await expectShown(keyId, call)
        const bad = (await logins.probe(value, call)).find(({ verdict }) => verdict !== 'accepted')
        if (!bad) return
        const about = `the new login was tried at ${bad.endpoint}: ${bad.seen}`
        if (call.signal.aborted) throw new RekeyError('backend_timeout', about)
        if (bad.verdict === 'unknown')
          throw new RekeyError(bad.seen === '53300' ? 'throttled' : 'backend_unavailable', about)
        if (performance.now() > until) {
          await expectShown(keyId, call)
          throw new RekeyError(
            'foreign_writer',
            `${about}, while Vault still has it: refused by pg_hba.conf, or somebody else has set a password`,
          )
        }
        await pauseFor(AGAIN_MS, call)
      }
    },

    /** What was never kept has no name here: nobody is given it, and the next generation changes it. */
    async revoke(generation, call) {
      const keyId = keyIds[generation]
      if (keyId !== undefined) await end(keyId, call)
    },

    async sessions(generation, call) {
      const keyId = keyIds[generation]
      if (keyId === undefined || !isLastOf(generation, turns)) return 0
      return logins.sessions(await userOf(roleIn(keyId), call), call)
    },

    /** A changed password ends no session, so they are ended here. */
    async endSessions(generation, call) {
      const keyId = keyIds[generation]
      if (keyId === undefined || !isLastOf(generation, turns)) return
      await logins.endSessions(await userOf(roleIn(keyId), call), call)
    },

    probe: (value, call) => logins.probe(value, call),
  }
}
