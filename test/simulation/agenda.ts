/** Something that will happen. `run` may take its time; nothing else happens meanwhile. */
export type Item = { at: number; order: number; run: () => void | Promise<void>; isOff: boolean }

/** What happens when, in simulated milliseconds. At the same moment, what was planned first comes first. */
export class Agenda {
  now = 0
  #heap: Item[] = []
  #order = 0

  at(at: number, run: Item['run']): Item {
    const item = { at: Math.max(at, this.now), order: this.#order++, run, isOff: false }
    this.#heap.push(item)
    this.#up(this.#heap.length - 1)
    return item
  }

  after(ms: number, run: Item['run']): Item {
    return this.at(this.now + ms, run)
  }

  /** Takes the next item and moves the clock to it. */
  take(): Item | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (!first) return undefined
      const last = this.#heap.pop()
      if (last && last !== first) {
        this.#heap[0] = last
        this.#down(0)
      }
      if (first.isOff) continue
      this.now = first.at
      return first
    }
  }

  #isBefore(a: number, b: number): boolean {
    const x = this.#heap[a] as Item
    const y = this.#heap[b] as Item
    return x.at < y.at || (x.at === y.at && x.order < y.order)
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a] as Item
    this.#heap[a] = this.#heap[b] as Item
    this.#heap[b] = x
  }

  #up(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #down(from: number): void {
    let at = from
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      let least = at
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left
      if (right < this.#heap.length && this.#isBefore(right, least)) least = right
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }
}
