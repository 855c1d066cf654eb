import type { Ledger } from '@rekey/ledger'
import { Bell, type Logger, retrying } from '@rekey/runtime'
import type pg from 'pg'

/** Asked at most this often, so that the question itself costs little. */
const APART_MS = 50
const POLL_MS = 500

/** Resolves when rotations have ended: one question for all that wait, whenever the journal has grown. */
export class Closings {
  readonly #waiting = new Map<string, () => void>()
  readonly #bell = new Bell()
  readonly #ending = new AbortController()
  readonly #listener: { close(): Promise<void> }
  readonly #running: Promise<void>

  constructor(ledger: Ledger, pool: pg.Pool, logger: Logger) {
    this.#listener = ledger.onJournal(() => this.#waiting.size > 0 && this.#bell.ring())
    this.#running = retrying(logger, 'closings', this.#ending.signal, async () => {
      await this.#bell.wait(POLL_MS, this.#ending.signal)
      if (this.#waiting.size === 0) return
      const { rows } = await pool.query({
        name: 'closings',
        text: 'select id from rotation where id = any($1) and closed_at is not null',
        values: [[...this.#waiting.keys()]],
      })
      for (const { id } of rows) {
        this.#waiting.get(id)?.()
        this.#waiting.delete(id)
      }
      await new Promise((resolve) => setTimeout(resolve, APART_MS))
    })
  }

  of(rotation: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(rotation, resolve)
      this.#bell.ring()
    })
  }

  get waiting(): string[] {
    return [...this.#waiting.keys()]
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await Promise.all([this.#running, this.#listener.close()])
  }
}
