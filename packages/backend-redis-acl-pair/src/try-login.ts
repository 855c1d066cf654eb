import type { Probe, ProbeResult, Secret } from '@rekey/contracts'
import { withRedis } from './connection.ts'
import { wordOf } from './failure.ts'
import { type Login, loginOf, type Place } from './login.ts'
import { RedisError } from './resp.ts'

/** How our own tries call themselves: they are no sessions. */
export const PROBE = 'rekey-try'

/** Logs in as a client would. Whatever it sees is a verdict, and only WRONGPASS is a refusal. */
export async function tryLogin(
  { username, password }: Login,
  at: Place,
  signal: AbortSignal,
): Promise<Pick<ProbeResult, 'verdict' | 'seen'>> {
  try {
    await withRedis(at, { username, password, name: PROBE }, signal, async () => {})
    return { verdict: 'accepted', seen: 'logged in' }
  } catch (error) {
    if (signal.aborted) return { verdict: 'unknown', seen: 'timeout' }
    if (!(error instanceof RedisError)) return { verdict: 'unknown', seen: wordOf(error) }
    return { verdict: error.word === 'WRONGPASS' ? 'refused' : 'unknown', seen: error.word }
  }
}

/** At the place that the value names itself: what a node does on its own path. */
export async function tryRedisLogin(value: Secret, signal: AbortSignal): Promise<Probe> {
  const login = loginOf(value)
  return login ? (await tryLogin(login, login, signal)).verdict : 'unknown'
}
