/** What the fleet channel refused, and what it did, since its start. */
const NAMES = [
  'sessions_opened',
  'sessions_closed',
  'states_sent',
  'acks_taken',
  'acks_stale',
  'nacks_taken',
  'turned_away',
  'malformed',
  'wrong_peer',
  'wrong_protocol',
  'wrong_session',
  'unknown_nonce',
  'replayed_nonce',
  'incomplete_proofs',
  'bad_proof',
  'untried',
  'flooding',
  'silent',
  'lost_writes',
  'enrolled',
  'renewed',
  'enrolment_refused',
] as const

export type CounterName = (typeof NAMES)[number]

export class Counters {
  readonly #values = new Map<CounterName, number>(NAMES.map((name) => [name, 0]))

  add(name: CounterName, by = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + by)
  }

  get(name: CounterName): number {
    return this.#values.get(name) ?? 0
  }
}
