import {
  type Authority,
  type Call,
  type PostgresRolePairSpec,
  RekeyError,
  type Secret,
  type StoredValue,
} from '@rekey/contracts'
import type pg from 'pg'
import { withConnection } from './connection.ts'
import { rebuilt } from './failure.ts'
import { type Login, newLogin, strongLoginOf } from './login.ts'
import { managerOf, placeOf } from './place.ts'
import { expectPair, readPair } from './role-comparison.ts'
import * as fence from './role-slot.ts'
import { verifierOf, verifies } from './scram.ts'
import { type Tried, tryEverywhere, tryLogin } from './try-login.ts'

/** How long a role that was just enabled may be refused: endpoints that are standbys replay it later. */
const LAG_MS = 3_000
const AGAIN_MS = 100
/** How long ended sessions may take to be gone. */
const ENDING_MS = 3_000

export type RolePairOptions = {
  /** The DSN of the role that manages the pair, read anew for each call: it is rotated too. */
  connection: () => Secret
}

/** All that an authority can do whose values we make. */
export type RolePairAuthority = Required<
  Omit<Authority, 'adopt' | 'list' | 'mint' | 'keep' | 'discard' | 'lastUsed' | 'show'>
>

/**
 * Two login roles, `<pair>_a` and `<pair>_b`, that both act as one owner role. A generation has one of them, so that two can
 * log in side by side, and neither owns or may anything that the other does not.
 */
export function rolePairAuthority(
  spec: Omit<PostgresRolePairSpec, 'kind' | 'soakMs'>,
  { connection }: RolePairOptions,
): RolePairAuthority {
  const { pair, owner } = spec
  const roles = [`${pair}_a`, `${pair}_b`]
  const endpoints = spec.endpoints.map(({ name, url }) => ({ name, place: placeOf(url) }))
  const [first] = endpoints
  if (!first) throw new RekeyError('invalid_configuration', `the pair ${pair} has no endpoint`)
  const { place } = first

  /** Work on the pair as its manager. */
  async function managing<T>(
    what: string,
    { signal }: Call,
    work: (client: pg.Client) => Promise<T>,
  ): Promise<T> {
    try {
      const { user, password, ...where } = managerOf(connection(), spec.connection)
      return await withConnection(where, { user, password, name: 'rekey' }, signal, work)
    } catch (error) {
      throw rebuilt(error, `${what} of the role pair ${pair}`, signal)
    }
  }

  /** One change of the fence, after the pair was seen to be one. */
  const changing = (
    what: string,
    call: Call,
    change: (client: pg.Client) => Promise<fence.SlotChange>,
  ): Promise<fence.SlotChange> =>
    managing(what, call, async (client) => {
      const facts = await readPair(client, roles)
      expectPair(facts, { database: place.database, owner, roles })
      return change(client)
    })

  const refusalOf = (generation: number, verdict: fence.SlotVerdict): RekeyError => {
    const about = `generation ${generation} of the role pair ${pair}`
    switch (verdict) {
      case 'ended':
        return new RekeyError('not_allowed_now', `${about} was ended`)
      case 'suspended':
        return new RekeyError('not_allowed_now', `${about} is suspended`)
      case 'absent':
        return new RekeyError('not_allowed_now', `${about} is not there any more`)
      case 'full':
        return new RekeyError('not_allowed_now', `${about} finds no free role: both hold other generations`)
      case 'elsewhere':
        return new RekeyError('foreign_writer', `${about} has another role than its value names`)
      case 'foreign':
        return new RekeyError('foreign_writer', `a free role of ${pair} may log in: somebody else enabled it`)
      default:
        return new RekeyError(
          'not_found',
          `there are no rows for the pair ${pair} in rekey.role_slot: see infra/postgres/role-pair.sql`,
        )
    }
  }

  const isSo = ({ verdict }: fence.SlotChange) => verdict === 'done' || verdict === 'held'

  function roleOf(login: Login): string {
    if (roles.includes(login.username)) return login.username
    throw new RekeyError('value_refused', `the value names a user that is not of the pair ${pair}`)
  }

  /** On the real path, until every endpoint has it. `stillHeld` throws where it was ended meanwhile. */
  async function expectAccepted(
    login: Login,
    { signal }: Call,
    stillHeld: () => Promise<unknown>,
  ): Promise<void> {
    const until = performance.now() + LAG_MS
    for (const { name, place } of endpoints) {
      let tried = await tryLogin(login, place, signal)
      while (tried.verdict === 'refused' && performance.now() < until) {
        await stillHeld()
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
        tried = await tryLogin(login, place, signal)
      }
      judgeTried(name, tried, signal)
    }
  }

  function judgeTried(endpoint: string, { verdict, seen, role }: Tried, signal: AbortSignal): void {
    const about = `the new login was tried at ${endpoint}`
    if (verdict === 'unknown')
      throw new RekeyError(
        signal.aborted ? 'backend_timeout' : seen === '53300' ? 'throttled' : 'backend_unavailable',
        `${about}: ${seen}`,
      )
    if (verdict === 'refused')
      throw new RekeyError(
        'foreign_writer',
        `${about} and refused (${seen}): by pg_hba.conf, or by a password of somebody else`,
      )
    if (role !== owner)
      throw new RekeyError('roles_differ', `${about}, and acts as ${role} rather than as ${owner}`)
  }

  async function install({ generation, value }: StoredValue, call: Call): Promise<void> {
    const login = strongLoginOf(value)
    const role = roleOf(login)
    const verifier = verifierOf(login.password)
    const put = async () => {
      const { verdict, slots } = await changing('the installation', call, (client) =>
        fence.install(client, pair, { generation, role, verifier }),
      )
      if (verdict !== 'done' && verdict !== 'held') throw refusalOf(generation, verdict)
      const kept = slots.find((slot) => slot.role === role)?.verifier
      if (!kept || !verifies(kept, login.password))
        throw new RekeyError('foreign_writer', `generation ${generation} has another password there`)
    }
    await put()
    await expectAccepted(login, call, put)
  }

  /** Sessions of a generation: of its role, while the row says that the role is or was last its own. */
  const ofGeneration = `
    from pg_catalog.pg_stat_activity a join rekey.role_slot s on a.usename = s.role
    where s.pair = $1 and s.generation = $2 and s.state <> 'reserved'`

  const count = async (client: pg.Client, generation: number): Promise<number> => {
    const { rows } = await client.query(`select count(*)::int as n ${ofGeneration}`, [pair, generation])
    return rows[0].n
  }

  return {
    kind: 'postgres-role-pair',
    direction: 'outbound',
    slots: 2,
    valueFrom: 'us',

    /** The role is kept for the generation before its value is made: values name their role. */
    async make(generation, call) {
      const { verdict, slots } = await changing('a reservation', call, (c) =>
        fence.reserve(c, pair, generation),
      )
      const slot = slots.find((one) => one.generation === generation)
      if ((verdict !== 'done' && verdict !== 'held') || !slot) throw refusalOf(generation, verdict)
      return newLogin(slot.role, place)
    },

    install,

    async suspend(generation, call) {
      const seen = await managing('the suspension', call, (c) => fence.suspend(c, pair, generation))
      if (!isSo(seen)) throw refusalOf(generation, seen.verdict)
    },

    async reinstate(generation, call) {
      const seen = await managing('the reinstatement', call, (c) => fence.reinstate(c, pair, generation))
      if (!isSo(seen)) throw refusalOf(generation, seen.verdict)
    },

    async revoke(generation, call) {
      const seen = await managing('the revocation', call, (c) => fence.revoke(c, pair, generation))
      if (!isSo(seen)) throw refusalOf(generation, seen.verdict)
    },

    sessions: (generation, call) =>
      managing('a count of sessions', call, (client) => count(client, generation)),

    /** Again and again until none is there: one that was logging in at the revocation comes up a moment after it. */
    endSessions: (generation, call) =>
      managing('the end of sessions', call, async (client) => {
        const until = performance.now() + ENDING_MS
        for (let quiet = 0; quiet < 2; ) {
          await client.query(`select pg_terminate_backend(a.pid) ${ofGeneration}`, [pair, generation])
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS / 2))
          quiet = (await count(client, generation)) === 0 ? quiet + 1 : 0
          if (quiet === 0 && performance.now() > until)
            throw new RekeyError('backend_unavailable', `sessions of generation ${generation} do not end`)
        }
      }),

    probe: (value, call) => tryEverywhere(value, endpoints, call.signal),
  }
}
