import type { Logger } from '@rekey/runtime'

const APART_MS = 10_000

type Book = { total: number; unsaid: number; saidAt: number }

/**
 * Counts what is refused, and logs it without its body: the first of a kind at once, then at most one line in ten
 * seconds, because whoever reaches the port could fill a disk with lines.
 */
export class Refusals {
  readonly #logger: Logger
  readonly #books = new Map<string, Book>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  note(source: string, why: string, address: string, now: number): void {
    const key = `${source} ${why}`
    const book = this.#books.get(key) ?? { total: 0, unsaid: 0, saidAt: -APART_MS }
    this.#books.set(key, book)
    book.total++
    book.unsaid++
    if (now - book.saidAt < APART_MS) return
    this.#logger.warn({ source, why, times: book.unsaid, total: book.total, address }, 'delivery refused')
    book.unsaid = 0
    book.saidAt = now
  }
}
