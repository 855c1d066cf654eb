import { RekeyError } from '@rekey/contracts'

export type BatchOptions<T> = {
  flushMs: number
  /** Of an item that comes alone, with none before it for `flushMs`: it need not wait for others. */
  promptMs?: number
  itemsMax: number
  write: (items: T[]) => Promise<void>
  /**
   * After the last try, or for an item that cannot be written at all: then it is alone, and the others of its batch
   * are written. What was lost must be asked for again by other means.
   */
  onLost: (items: T[], error: unknown) => void
  /** A later item with the same key takes the place of an earlier one that still waits. */
  keyOf?: (item: T) => string
  retryMs?: readonly number[]
}

/** What an emergency may wait for behind a slow write. */
const PAUSE_MAX_MS = 200

/**
 * Gathers items and writes them together: one statement for a hundred acks instead of a hundred. Writes of one batch
 * never overlap, so that their order is kept.
 */
export class Batch<T> {
  readonly #options: BatchOptions<T>
  #waiting = new Map<string, T>()
  #count = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #lastAt = Number.NEGATIVE_INFINITY
  #lastWriteMs = 0

  constructor(options: BatchOptions<T>) {
    this.#options = options
  }

  add(item: T): void {
    const key = this.#options.keyOf?.(item) ?? String(this.#count++)
    // Deleted first, so that a replaced item takes its turn at the end.
    this.#waiting.delete(key)
    this.#waiting.set(key, item)
    const { flushMs, promptMs = flushMs, itemsMax } = this.#options
    const isAlone = performance.now() - this.#lastAt > flushMs
    this.#lastAt = performance.now()
    if (this.#waiting.size >= itemsMax) void this.flush()
    // In a stream, waiting as long as a write takes: what costs most of a write is often the same for few items and for many.
    else
      this.#timer ??= setTimeout(
        () => void this.flush(),
        isAlone ? promptMs : Math.max(flushMs, Math.min(this.#lastWriteMs, PAUSE_MAX_MS)),
      )
  }

  /** Writes everything that waits; resolves when it is written or given up. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #drain(): Promise<void> {
    while (this.#waiting.size > 0) {
      const entries = [...this.#waiting].slice(0, this.#options.itemsMax)
      for (const [key] of entries) this.#waiting.delete(key)
      const began = performance.now()
      await this.#write(entries.map(([, item]) => item))
      this.#lastWriteMs = performance.now() - began
    }
  }

  async #write(items: T[]): Promise<void> {
    const { onLost } = this.#options
    const failure = await this.#attempt(items)
    if (!failure) return
    if (items.length === 1 || !isFinal(failure.error)) return onLost(items, failure.error)
    // One of them is bad, and the others must not go down with it.
    for (const [at, item] of items.entries()) {
      const alone = await this.#attempt([item])
      if (!alone) continue
      if (!isFinal(alone.error)) return onLost(items.slice(at), alone.error)
      onLost([item], alone.error)
    }
  }

  /** Tries again for as long as that may help; returns what went wrong in the end. */
  async #attempt(items: T[]): Promise<{ error: unknown } | undefined> {
    const pauses = this.#options.retryMs ?? [100, 400, 1_000]
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#options.write(items)
        return undefined
      } catch (error) {
        const pause = pauses[tries]
        if (pause === undefined || isFinal(error)) return { error }
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }
}

/** What is written is at fault, not the way there: the same write would fail again. */
function isFinal(error: unknown): boolean {
  if (RekeyError.is(error)) return !error.retryable
  if (error instanceof TypeError || error instanceof RangeError) return true
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // PostgreSQL's classes 22 and 23: the data cannot be held, or breaks a rule of a table.
  return /^2[23][0-9A-Z]{3}$/.test(code)
}
