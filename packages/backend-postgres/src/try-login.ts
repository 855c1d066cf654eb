import type { Probe, ProbeResult, Secret } from '@rekey/contracts'
import { withConnection } from './connection.ts'
import { sqlStateOf, wordOf } from './failure.ts'
import type { Login } from './login.ts'
import { loginOf } from './login.ts'
import type { Place } from './place.ts'

/** The only answers that are a refusal: wrong password, and no right to log in. A full or failing server shows nothing. */
const REFUSALS = ['28P01', '28000']

export type Tried = {
  verdict: Probe
  /** A word, or a code of PostgreSQL. */
  seen: string
  /** As whom it acts after the login. */
  role?: string
}

/** Logs in as a client would. Whatever it sees is a verdict: it throws nothing. */
export async function tryLogin(login: Login, place: Place, signal: AbortSignal): Promise<Tried> {
  try {
    const as = { user: login.username, password: login.password, name: 'rekey-try' }
    const role = await withConnection(place, as, signal, async (client) => {
      const { rows } = await client.query('select current_user::text as role')
      return String(rows[0]?.role)
    })
    return { verdict: 'accepted', seen: 'logged in', role }
  } catch (error) {
    const state = sqlStateOf(error)
    if (state === undefined) return { verdict: 'unknown', seen: signal.aborted ? 'timeout' : wordOf(error) }
    return { verdict: REFUSALS.includes(state) ? 'refused' : 'unknown', seen: state }
  }
}

/** A value at each endpoint, whatever place it names itself. */
export function tryEverywhere(
  value: Secret,
  endpoints: readonly { name: string; place: Place }[],
  signal: AbortSignal,
): Promise<ProbeResult[]> {
  const login = loginOf(value)
  return Promise.all(
    endpoints.map(async ({ name, place }): Promise<ProbeResult> => {
      if (!login) return { endpoint: name, verdict: 'unknown', seen: 'not a login' }
      const { verdict, seen } = await tryLogin(login, place, signal)
      return { endpoint: name, verdict, seen }
    }),
  )
}

/** The same for a value, at the place that it names itself: what a node does on its own path. */
export async function tryValue(value: Secret, signal: AbortSignal): Promise<Tried> {
  const login = loginOf(value)
  if (!login) return { verdict: 'unknown', seen: 'not a login' }
  const { host, port, dbname, sslmode } = login
  return tryLogin(login, { host, port, database: dbname, sslmode }, signal)
}
