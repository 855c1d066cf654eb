type Waiting<T, R> = { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }

export type TogetherOptions<T, R> = {
  most: number
  /** Items of the same key are never run together, and in their order. */
  keyOf: (item: T) => string
  /** A result for each item, in their order; an Error is that item's alone. */
  run: (items: T[]) => Promise<(R | Error)[]>
}

/**
 * Runs at once what comes alone, and together what came while that was running. Where all of them failed, each is run alone: what
 * is at fault may be one of them.
 */
export class Together<T, R> {
  readonly #options: TogetherOptions<T, R>
  #waiting: Waiting<T, R>[] = []
  #running = false

  constructor(options: TogetherOptions<T, R>) {
    this.#options = options
  }

  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (!this.#running) void this.#drain()
    })
  }

  async #drain(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const some = this.#take()
      if (!(await this.#run(some))) for (const one of some) await this.#run([one], true)
    }
    this.#running = false
  }

  #take(): Waiting<T, R>[] {
    const { most, keyOf } = this.#options
    const keys = new Set<string>()
    const some: Waiting<T, R>[] = []
    this.#waiting = this.#waiting.filter((one) => {
      const key = keyOf(one.item)
      const isFirst = !keys.has(key)
      keys.add(key)
      if (!isFirst || some.length >= most) return true
      some.push(one)
      return false
    })
    return some
  }

  /** False: it failed, and is to be tried otherwise. */
  async #run(some: Waiting<T, R>[], isLast = some.length === 1): Promise<boolean> {
    try {
      const results = await this.#options.run(some.map(({ item }) => item))
      for (const [at, { resolve, reject }] of some.entries()) {
        const result = results[at] as R | Error
        if (result instanceof Error) reject(result)
        else resolve(result)
      }
    } catch (error) {
      if (!isLast) return false
      for (const { reject } of some) reject(error)
    }
    return true
  }
}
