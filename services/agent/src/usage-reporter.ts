import type { AgentToFleet, ClientUse, Usage, UsageMessage } from '@rekey/contracts'
import type { CredentialKeeper } from './keeper.ts'

/** Counters without the ages, which move all the time. */
type Counted = Pick<Usage, 'generation' | 'inFlight' | 'requests' | 'failures'> & { used: boolean }

const EVERY = 5
/** By whom a key is used is read so often; and what is not new of it is sent so often, as are knocks. */
const CLIENTS_EVERY = 5
const OLD_NEWS_EVERY = 60

type Sightings = Pick<UsageMessage, 'clients' | 'graveyard'>

/**
 * Sends counters when they changed, and every fifth time anyway, because silence is no evidence. Who used a key is told
 * at once where somebody is new, and else once in a while: on a thousand nodes that is much, and nothing waits for it.
 */
export class UsageReporter {
  readonly #keeper: Pick<CredentialKeeper, 'credential' | 'usage' | 'clients' | 'graveyard'>
  #last = ''
  #skipped = 0
  #round = 0
  readonly #clients = new News<ClientUse[]>((rows) => rows.map((r) => `${r.generation} ${r.address}`).sort())
  readonly #graveyard = new News<NonNullable<Sightings['graveyard']>>(({ watched, knocks }) => [
    watched,
    knocks.map((k) => `${k.generation} ${k.address} ${k.requests}`).sort(),
  ])

  constructor(keeper: Pick<CredentialKeeper, 'credential' | 'usage' | 'clients' | 'graveyard'>) {
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
        ...(g.failures !== undefined && { failures: g.failures }),
        used: g.lastUseAgeMs !== null,
      }),
    )
    const now = `${session} ${JSON.stringify(counted)}`
    const sightings = await this.#sightings(session)
    this.#skipped += 1
    if (now === this.#last && this.#skipped < EVERY && Object.keys(sightings).length === 0) return
    this.#last = now
    this.#skipped = 0
    send({ type: 'usage', credential: this.#keeper.credential, session, generations, ...sightings })
  }

  async #sightings(session: number): Promise<Sightings> {
    const round = this.#round++
    const graveyard = this.#graveyard.take(session, await this.#keeper.graveyard())
    if (round % CLIENTS_EVERY !== 0) return graveyard ? { graveyard } : {}
    const clients = this.#clients.take(session, await this.#keeper.clients(), CLIENTS_EVERY)
    return { ...(clients && { clients }), ...(graveyard && { graveyard }) }
  }
}

/** Lets through what is new to a session, and what is not once in a while. */
class News<T> {
  readonly #shape: (what: T) => unknown
  #last = ''
  #skipped = 0

  constructor(shape: (what: T) => unknown) {
    this.#shape = shape
  }

  take(session: number, what: T | undefined, rounds = 1): T | undefined {
    if (what === undefined) return undefined
    const now = `${session} ${JSON.stringify(this.#shape(what))}`
    this.#skipped += rounds
    if (now === this.#last && this.#skipped < OLD_NEWS_EVERY) return undefined
    this.#last = now
    this.#skipped = 0
    return what
  }
}
