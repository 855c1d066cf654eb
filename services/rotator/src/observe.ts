import type { Authority, AuthoritySpec, Call } from '@rekey/contracts'
import type { Ledger, Seen, ToObserve } from '@rekey/ledger'
import { Bell, type Logger, pause, retrying } from '@rekey/runtime'

/** How often the authority is asked while something is drained. */
const LOOK_MS = 500
/** How often the ledger is asked whether something is. Announcements make it sooner. */
const POLL_MS = 2_000
const ASK_MS = 5_000

type Options = {
  ledger: Pick<Ledger, 'toObserve' | 'recordObservation' | 'onEffects'>
  authorityOf: (
    spec: AuthoritySpec,
    keyIds: Record<number, string>,
    credential: string,
  ) => Pick<Authority, 'kind' | 'sessions' | 'lastUsed'>
  logger: Logger
}

/**
 * Asks authorities who still uses what is being drained, and tells the ledger. It decides nothing: without an answer the
 * evidence becomes old, and the gate stays shut.
 */
export function observeDrains(options: Options): { close(): Promise<void> } {
  const { ledger, logger } = options
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onEffects(() => bell.ring())
  /** Credentials whose authority did not answer, so that it is said once. */
  const failing = new Set<string>()
  const looking = retrying(logger, 'watch what is drained', ending.signal, async () => {
    const due = await ledger.toObserve()
    await Promise.all(due.map((one) => look(one, options, failing, ending.signal)))
    // A rotation that drains announces no effect of its own while it does; others announce many.
    await pause(LOOK_MS, ending.signal)
    if (due.length === 0) await bell.wait(POLL_MS, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([looking, listener.close()])
    },
  }
}

async function look(
  { credential, spec, generations, keyIds }: ToObserve,
  { ledger, authorityOf, logger }: Options,
  failing: Set<string>,
  ending: AbortSignal,
): Promise<void> {
  try {
    const authority = authorityOf(spec.authority, keyIds, credential)
    const startedAt = performance.now()
    const seen = await Promise.all(
      generations.map(async (generation) => {
        const signal = AbortSignal.any([ending, AbortSignal.timeout(ASK_MS)])
        const call = { key: `${credential}.sessions.g${generation}`, signal }
        return { generation, seen: await useOf(authority, generation, call) }
      }),
    )
    const ageMs = performance.now() - startedAt
    const known = seen.flatMap(({ generation, seen }) => (seen ? [{ generation, ...seen, ageMs }] : []))
    if (known.length > 0) await ledger.recordObservation(credential, known)
    failing.delete(credential)
  } catch (error) {
    if (ending.aborted || failing.has(credential)) return
    failing.add(credential)
    logger.warn({ credential, error }, 'the authority does not say who uses what is drained')
  }
}

/** By its sessions, or by what the provider says of its last use; undefined: it can say neither. */
async function useOf(
  { sessions, lastUsed }: Pick<Authority, 'sessions' | 'lastUsed'>,
  generation: number,
  call: Call,
): Promise<Pick<Seen, 'sessions' | 'lastUsedAt'> | undefined> {
  if (sessions) return { sessions: await sessions(generation, call) }
  return lastUsed && { sessions: 0, lastUsedAt: await lastUsed(generation, call) }
}
