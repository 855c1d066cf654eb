import type { AgentToFleet } from '@rekey/contracts'
import type { CredentialKeeper } from './keeper.ts'

/** Counters without the ages, which move all the time. */
type Counted = { generation: number; inFlight: number; requests: number; used: boolean }

const EVERY = 5

/** Sends counters when they changed, and every fifth time anyway, because silence is no evidence. */
export class UsageReporter {
  readonly #keeper: CredentialKeeper
  #last = ''
  #skipped = 0

  constructor(keeper: CredentialKeeper) {
    this.#keeper = keeper
  }

  async report(session: number, send: (message: AgentToFleet) => void): Promise<void> {
    const generations = await this.#keeper.usage()
    if (!generations) return
    const counted = generations.map(
      (g): Counted => ({
        generation: g.generation,
        inFlight: g.inFlight,
        requests: g.requests,
        used: g.lastUseAgeMs !== null,
      }),
    )
    const now = `${session} ${JSON.stringify(counted)}`
    this.#skipped += 1
    if (now === this.#last && this.#skipped < EVERY) return
    this.#last = now
    this.#skipped = 0
    send({ type: 'usage', credential: this.#keeper.credential, session, generations })
  }
}
