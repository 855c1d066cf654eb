import type { CredentialSpec, Fingerprints, Store } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import { Bell, type Logger, pause, retrying } from '@rekey/runtime'
import { look } from './look-at-stores.ts'

/** How often somebody may have asked without our hearing of it. */
const POLL_MS = 5_000
/** Between two turns, which bounds how many stores are read in a second, however many are due. */
const APART_MS = 500
const AT_ONCE = 8
/** New credentials are given a time for their first look no later than after this. */
const PLAN_MS = 60_000
const LOOK_MS = 15_000
/** A rotator that was killed has a credential for so long. */
const LOOK_LEASE_MS = LOOK_MS + 15_000

export type DriftStores = (spec: CredentialSpec) => { name: string; store: Pick<Store, 'readShown'> }[]

type Options = {
  ledger: Pick<Ledger, 'planLooks' | 'takeLooks' | 'recordLook' | 'closeOffboarded' | 'onEffects'>
  stores: DriftStores
  fingerprints: Fingerprints
  /** How often each credential is looked at; 0: only when somebody asks. */
  everyMs: number
  worker: string
  logger: Logger
}

/**
 * Looks whether the stores of credentials at rest still show what Rekey wrote. Beside the rotations and never in their way: as
 * routine calls, which leave alone what a quota keeps for emergencies.
 */
export function watchDrift(options: Options): { close(): Promise<void> } {
  const { ledger, logger } = options
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onEffects(() => bell.ring())
  const plan = planner(options)
  const working = retrying(logger, 'look for drift', ending.signal, async () => {
    await plan()
    const looked = await lookAtSome(options, ending.signal)
    await pause(APART_MS, ending.signal)
    if (looked < AT_ONCE) await bell.wait(POLL_MS, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([working, listener.close()])
    },
  }
}

/** Asks the ledger for it once in a while: it reads every credential. */
function planner({ ledger, everyMs, worker }: Options): () => Promise<void> {
  let plannedAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (performance.now() - plannedAt < PLAN_MS) return
    if (everyMs > 0) await ledger.planLooks(everyMs)
    await ledger.closeOffboarded(worker)
    plannedAt = performance.now()
  }
}

async function lookAtSome(
  { ledger, stores, fingerprints, everyMs, worker, logger }: Options,
  ending: AbortSignal,
): Promise<number> {
  const taken = await ledger.takeLooks({
    onlyAsked: everyMs === 0,
    limit: AT_ONCE,
    leaseMs: LOOK_LEASE_MS,
  })
  await Promise.all(
    taken.map(async (one) => {
      const signal = AbortSignal.any([ending, AbortSignal.timeout(LOOK_MS)])
      const seen = await look(one, { stores: stores(one.spec), fingerprints }, signal)
      // Whoever starts next does it whole.
      if (ending.aborted) return
      await ledger.recordLook(one, seen, everyMs, worker)
      const unknown = seen.flatMap((store) => ('error' in store ? [`${store.store}: ${store.error}`] : []))
      if (unknown.length > 0)
        logger.warn({ credential: one.credential, unknown }, 'not every store could be looked at')
    }),
  )
  return taken.length
}
