import type { FleetLedger } from '@rekey/ledger'

/**
 * Proof public keys by credential and generation. They never change, so that only a generation not seen before costs
 * a query, and one query serves all who wait for it.
 */
export class ProofKeys {
  readonly #ledger: Pick<FleetLedger, 'proofKeys'>
  readonly #known = new Map<string, Map<number, string | null>>()
  readonly #asking = new Map<string, Promise<Map<number, string | null>>>()

  constructor(ledger: Pick<FleetLedger, 'proofKeys'>) {
    this.#ledger = ledger
  }

  async of(credential: string, generations: number[]): Promise<Map<number, string | null>> {
    const known = this.#known.get(credential)
    if (known && generations.every((g) => known.has(g))) return known
    let asking = this.#asking.get(credential)
    if (!asking) {
      asking = this.#ledger.proofKeys(credential).finally(() => this.#asking.delete(credential))
      this.#asking.set(credential, asking)
    }
    const fresh = await asking
    this.#known.set(credential, fresh)
    return fresh
  }
}
