import type { Secret } from '@rekey/contracts'
import { vi } from 'vitest'
import type { Bench } from './bench.ts'

/** How long anything may take, however often somebody dies. */
export const LATE_MS = 120_000

/** One journey under way, as those see it who ask for it and wait for it. */
export class Ongoing {
  readonly bench: Bench
  /** The generation that it brings up, and the one in use before. */
  readonly generation: number
  readonly base: number
  readonly rotation: string
  /** What clients present when it begins. */
  readonly old: Secret

  constructor(options: { bench: Bench; generation: number; base: number; old: Secret }) {
    this.bench = options.bench
    this.generation = options.generation
    this.base = options.base
    this.old = options.old
    this.rotation = `${options.bench.world.credential}-g${options.generation}`
  }

  isOpen = async (): Promise<boolean> => {
    const { rowCount } = await this.bench.database.query('select 1 from rotation where id = $1', [
      this.rotation,
    ])
    return rowCount === 1
  }

  async happened(type: string): Promise<boolean> {
    const { rowCount } = await this.bench.database.query(
      'select 1 from journal where stream = $1 and type = $2 limit 1',
      [`rotation/${this.rotation}`, type],
    )
    return rowCount !== 0
  }

  /** Asks until it is so; that a process is dead meanwhile is a reason to ask again. */
  async until(what: string, isSo: () => Promise<boolean>, withinMs = LATE_MS): Promise<void> {
    await vi.waitFor(
      async () => {
        if (!(await isSo())) throw new Error(`${this.rotation}: ${what} did not come within ${withinMs} ms`)
      },
      { timeout: withinMs, interval: 50 },
    )
  }

  /** An order whose answer got lost is looked up before it is given again, as a person would. */
  async insist(what: string, give: () => Promise<unknown>, isTaken: () => Promise<boolean>): Promise<void> {
    await this.until(what, async () => {
      if (await isTaken()) return true
      await give()
      return isTaken()
    })
  }
}
