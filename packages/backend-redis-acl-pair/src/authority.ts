import {
  type Authority,
  type Call,
  type ProbeResult,
  type RedisAclPairSpec,
  RekeyError,
  type Secret,
} from '@rekey/contracts'
import { type Ask, withRedis } from './connection.ts'
import { rebuilt } from './failure.ts'
import * as fence from './fence.ts'
import { digestOf, loginOf, managerOf, newLogin, placeOf, strongLoginOf } from './login.ts'
import { killsOf, settled } from './look.ts'
import { tryLogin } from './try-login.ts'
import type { Pair } from './users.ts'

const AGAIN_MS = 50
/** How long ended sessions may take to be gone. */
const ENDING_MS = 3_000

/** All that an authority can do whose values we make. */
export type RedisAclPairAuthority = Required<
  Omit<Authority, 'adopt' | 'list' | 'mint' | 'keep' | 'discard' | 'lastUsed' | 'show'>
>

/**
 * Two ACL users, `<pair>_a` and `<pair>_b`, with the same permissions, which are never touched. A generation has one of them, so
 * that two can log in side by side. What is known of them is in the users themselves (see mark.ts), and nowhere else. The server is
 * given SHA-256 digests, and no password.
 */
export function redisAclPairAuthority(
  spec: Omit<RedisAclPairSpec, 'kind' | 'soakMs'>,
  { connection }: { connection: () => Secret },
): RedisAclPairAuthority {
  const { pair, aclFile } = spec
  const users = [`${pair}_a`, `${pair}_b`]
  const endpoints = spec.endpoints.map(({ name, url }) => ({ name, place: placeOf(url) }))
  const [first] = endpoints
  if (!first) throw new RekeyError('invalid_configuration', `the pair ${pair} has no endpoint`)
  const { place } = first

  async function managing<T>(what: string, { signal }: Call, work: (ask: Ask) => Promise<T>): Promise<T> {
    try {
      const { username, password, ...where } = managerOf(connection(), spec.connection)
      return await withRedis(where, { username, password, name: 'rekey' }, signal, work)
    } catch (error) {
      throw rebuilt(error, `${what} of the ACL pair ${pair}`, signal)
    }
  }

  /** Also where nothing was left to do: whoever did it may have died on the way here. */
  const save = async (ask: Ask) => {
    if (aclFile) await ask(['ACL', 'SAVE'])
  }

  const changing = (what: string, call: Call, decide: (now: Pair) => fence.Step[]): Promise<Pair> =>
    managing(what, call, async (ask) => {
      const now = await settled(ask, users, decide)
      await save(ask)
      return now
    })

  const looking = (ask: Ask) => settled(ask, users, () => [])

  return {
    kind: 'redis-acl-pair',
    direction: 'outbound',
    slots: 2,
    valueFrom: 'us',

    /** The user is kept for the generation before its value is made: values name their user. */
    async make(generation, call) {
      const now = await changing('a reservation', call, (seen) => fence.reserve(seen, generation))
      const user = fence.reservedFor(now, generation)
      if (!user)
        throw new RekeyError('bad_response', `no user of ${pair} is kept for generation ${generation}`)
      return newLogin(user, place)
    },

    async install({ generation, value }, call) {
      const login = strongLoginOf(value)
      const { username: user } = login
      const digest = digestOf(login.password)
      const put = () =>
        changing('the installation', call, (seen) => fence.install(seen, { generation, user, digest }))
      await put()
      for (const { name, place: at } of endpoints) {
        const { verdict, seen } = await tryLogin(login, at, call.signal)
        if (verdict === 'accepted') continue
        // It may have been ended meanwhile: that is said then.
        if (verdict === 'refused') await put()
        const about = `the new login was tried at ${name}`
        if (verdict === 'refused')
          throw new RekeyError(
            'foreign_writer',
            `${about} and refused (${seen}): that is another server than the one of the connection ${spec.connection}, which has it. Users are not replicated`,
          )
        const code = call.signal.aborted ? 'backend_timeout' : 'backend_unavailable'
        throw new RekeyError(code, `${about}: ${seen}`)
      }
    },

    async suspend(generation, call) {
      await changing('the suspension', call, (seen) => fence.suspend(seen, generation))
    },

    async reinstate(generation, call) {
      await changing('the reinstatement', call, (seen) => fence.reinstate(seen, generation))
    },

    /** What can be ended is ended, and only then it is said what is wrong. */
    revoke: (generation, call) =>
      managing('the revocation', call, async (ask) => {
        const now = await settled(ask, users, (seen) => fence.revoke(seen, generation))
        const ended = fence.endedUser(now, generation)
        if (ended) await ask(...killsOf(ended.name, idsOf(now, ended.name)))
        await save(ask)
        fence.expectEnded(now, generation)
      }),

    sessions: (generation, call) =>
      managing('a count of sessions', call, async (ask) => {
        const now = await looking(ask)
        const user = fence.userInUse(now, generation)
        return user ? countOf(now, user.name) : 0
      }),

    /** Again and again until none is there: one that was logging in at the revocation comes up a moment after it. */
    endSessions: (generation, call) =>
      managing('the end of sessions', call, async (ask) => {
        const until = performance.now() + ENDING_MS
        for (let quiet = 0; quiet < 2; ) {
          const now = await looking(ask)
          const user = fence.userInUse(now, generation)
          if (!user) return
          await ask(...killsOf(user.name, idsOf(now, user.name)))
          quiet = countOf(now, user.name) === 0 ? quiet + 1 : 0
          if (quiet === 0 && performance.now() > until)
            throw new RekeyError('backend_unavailable', `sessions of generation ${generation} do not end`)
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
        }
      }),

    async probe(value, { signal }) {
      const login = loginOf(value)
      return Promise.all(
        endpoints.map(async ({ name, place: at }): Promise<ProbeResult> => {
          if (!login) return { endpoint: name, verdict: 'unknown', seen: 'not a login' }
          return { endpoint: name, ...(await tryLogin(login, at, signal)) }
        }),
      )
    },
  }
}

const idsOf = ({ sessions }: Pair, user: string) => (sessions.get(user) ?? []).map(({ id }) => id)
const countOf = ({ sessions }: Pair, user: string) =>
  (sessions.get(user) ?? []).filter(({ isTry }) => !isTry).length
