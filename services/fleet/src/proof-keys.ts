import type { KeyObject } from 'node:crypto'
import { readProofKey } from '@rekey/contracts'

/** The ledger's part in it. A generation whose value is not staged yet has no key, which it may say as null. */
type Source = { proofKeys(credential: string): Promise<ReadonlyMap<number, string | null>> }

type Keys = ReadonlyMap<number, KeyObject>

/**
 * Proof public keys by credential and generation. Once there they never change, so that only a generation not seen
 * before costs a query, and one query serves all who wait for it.
 */
export class ProofKeys {
  readonly #ledger: Source
  readonly #known = new Map<string, Keys>()
  readonly #asking = new Map<string, Promise<Keys>>()

  constructor(ledger: Source) {
    this.#ledger = ledger
  }

  async of(credential: string, generations: number[]): Promise<Keys> {
    const isWhole = (keys: Keys) => generations.every((g) => keys.has(g))
    const known = this.#known.get(credential)
    if (known && isWhole(known)) return known
    const running = this.#asking.get(credential)
    if (running) {
      const keys = await running
      // It may have read before the key was written.
      if (isWhole(keys)) return keys
    }
    return this.#asking.get(credential) ?? this.#ask(credential)
  }

  #ask(credential: string): Promise<Keys> {
    const asking = this.#ledger
      .proofKeys(credential)
      .then((found) => {
        const keys = new Map(
          [...found].flatMap(([generation, text]) => {
            const key = text === null ? undefined : readProofKey(text)
            return key ? [[generation, key] as const] : []
          }),
        )
        this.#known.set(credential, keys)
        return keys
      })
      .finally(() => this.#asking.delete(credential))
    this.#asking.set(credential, asking)
    return asking
  }
}
