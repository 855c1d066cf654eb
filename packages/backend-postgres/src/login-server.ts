import { type Call, type ProbeResult, RekeyError, type Secret } from '@rekey/contracts'
import type pg from 'pg'
import { withConnection } from './connection.ts'
import { rebuilt } from './failure.ts'
import { secretOf } from './login.ts'
import { managerOf, placeOf } from './place.ts'
import { tryEverywhere } from './try-login.ts'

const AGAIN_MS = 50
/** How long ended sessions may take to be gone. */
const ENDING_MS = 3_000

export type LoginServerSpec = {
  endpoints: readonly { name: string; url: string }[]
  /** The name of the connection that sees sessions. */
  watcher: string
}

/**
 * A server on which logins are used that somebody else makes: they are tried, and their sessions are counted and ended. Needs a
 * login of its own: any counts sessions; to end them it needs `pg_read_all_stats` and `pg_signal_backend`.
 */
export function postgresLoginServer(
  { endpoints, watcher }: LoginServerSpec,
  { connection }: { connection: () => Secret },
) {
  const places = endpoints.map(({ name, url }) => ({ name, place: placeOf(url) }))
  const [first] = places
  if (!first) throw new RekeyError('invalid_configuration', 'there is no endpoint to log in at')

  async function watching<T>(what: string, { signal }: Call, work: (client: pg.Client) => Promise<T>) {
    try {
      const { user, password, ...where } = managerOf(connection(), watcher)
      return await withConnection(where, { user, password, name: 'rekey' }, signal, work)
    } catch (error) {
      throw rebuilt(error, `${what} through ${watcher}`, signal, {
        '42501': 'this login needs pg_read_all_stats, and pg_signal_backend to end sessions',
      })
    }
  }

  const count = async (client: pg.Client, user: string): Promise<number> => {
    const { rows } = await client.query(`select count(*)::int as n ${OF_USER}`, [user])
    return rows[0].n
  }

  return {
    /** A login as a value, at the first endpoint. */
    valueOf({ username, password }: { username: string; password: string }): Secret {
      const { host, port, database: dbname, sslmode } = first.place
      return secretOf({ username, password, host, port, dbname, sslmode })
    },

    probe: (value: Secret, { signal }: Call): Promise<ProbeResult[]> => tryEverywhere(value, places, signal),

    sessions: (user: string, call: Call) =>
      watching('a count of sessions', call, (client) => count(client, user)),

    /** Again and again until none is there: one that was logging in comes up a moment later. */
    endSessions: (user: string, call: Call) =>
      watching('the end of sessions', call, async (client) => {
        const until = performance.now() + ENDING_MS
        for (let quiet = 0; quiet < 2; ) {
          await client.query(`select pg_terminate_backend(pid) ${OF_USER}`, [user])
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
          quiet = (await count(client, user)) === 0 ? quiet + 1 : 0
          if (quiet === 0 && performance.now() > until)
            throw new RekeyError('backend_unavailable', `sessions of ${user} do not end`)
        }
      }),
  }
}

/** Our own tries are no use. */
const OF_USER = "from pg_catalog.pg_stat_activity where usename = $1 and application_name <> 'rekey-try'"
