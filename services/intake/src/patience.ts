import { RekeyError } from '@rekey/contracts'
import { type Logger, pause } from '@rekey/runtime'

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000

/** Thrown where we are told to stop and an attempt fails: the record at hand was not handled, and comes again. */
export class Interrupted extends Error {
  override name = 'Interrupted'
}

/** The fault lies in the record, and trying again would stop its partition for ever. */
export class Unstorable extends Error {
  override name = 'Unstorable'
}

/**
 * Waits out what may pass. The database or the broker may be away for as long as it likes: consumption stands still
 * and loses nothing, and `alive` tells Kafka that we are still here (it throws where the partition is ours no more).
 */
export class Patience {
  /** What we are waiting for now; shown by the readiness check. */
  readonly troubles = new Set<string>()
  readonly #logger: Logger
  readonly #stop: AbortSignal

  constructor(logger: Logger, stop: AbortSignal) {
    this.#logger = logger
    this.#stop = stop
  }

  async until<T>(what: string, work: () => Promise<T>, alive: () => Promise<void>): Promise<T> {
    let failures = 0
    for (;;) {
      try {
        const result = await work()
        this.troubles.delete(what)
        return result
      } catch (error) {
        if (isFaultOfRecord(error)) throw new Unstorable(what)
        if (this.#stop.aborted) throw new Interrupted(what)
        failures += 1
        this.troubles.add(what)
        this.#logger.warn({ error, what, failures }, 'waiting, nothing is lost')
      }
      await pause(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)), this.#stop)
      await alive()
    }
  }
}

/** SQLSTATE class 22 is a data exception: the value itself cannot be stored. */
function isFaultOfRecord(error: unknown): boolean {
  if (RekeyError.is(error)) return error.code === 'invalid_event' || error.code === 'conflict'
  return error instanceof Error && 'code' in error && /^22\w{3}$/.test(String(error.code))
}
