import { RekeyError } from '@rekey/contracts'
import type { CloudEvent } from '@rekey/events'
import { type Logger, pause } from '@rekey/runtime'
import { eventOf } from './event.ts'
import type { Publish } from './publisher.ts'
import type { Report } from './report.ts'
import type { AlertRef } from './source.ts'
import { nameOf, type Spool } from './spool.ts'

/** The fingerprint of the value that an alert is about. */
export type Identify = (alert: AlertRef, signal: AbortSignal) => Promise<string>

/** One look at GitHub and Vault may take so long. */
const LOOK_MS = 4_000
/** So long is it tried where configuration names the credential anyway: an emergency must not wait for it. */
const NAMED_MS = 5_000
/** And so long where nothing else says which credential it is. */
const UNNAMED_MS = 60_000
const PAUSE_MAX_MS = 5_000
const AT_ONCE = 8
/** Older than this in the spool: something is wrong. */
const LATE_MS = 90_000

export type Reports = {
  /** Keeps it and answers for it from then on. False: no room. */
  take(report: Report): Promise<boolean>
  /** How many wait, and whether one has waited for too long. */
  state(): { waiting: number; late: boolean }
  close(): Promise<void>
}

/**
 * Brings reports of leaks to Kafka, each until it is there. What the last process left is taken up first.
 * A report is removed after Kafka has it: a crash in between sends it again, under the same id.
 */
export function sendReports(options: {
  spool: Spool
  publish: Publish
  identify?: Identify
  logger: Logger
}): Reports {
  const { spool, publish, identify, logger } = options
  const ending = new AbortController()
  const working = new Map<string, { since: number; done: Promise<void> }>()
  let looking = 0
  const turns: (() => void)[] = []

  function begin(report: Report): void {
    const name = nameOf(report)
    if (working.has(name) || ending.signal.aborted) return
    const done = bring(report)
      .catch((error: unknown) => {
        if (!ending.signal.aborted)
          logger.error({ error, about: report.origin }, 'a report of a leak stays in the spool')
      })
      .finally(() => working.delete(name))
    working.set(name, { since: performance.now(), done })
  }

  async function bring(report: Report): Promise<void> {
    const fingerprint = await fingerprintOf(report)
    const event = said(report, fingerprint)
    for (let failures = 0; !ending.signal.aborted; ) {
      try {
        await unless(ending.signal, publish(report.emitter, event))
        await spool.remove(report)
        logger.info(
          { id: event.id, source: event.source, byValue: fingerprint !== undefined },
          'leak reported',
        )
        return
      } catch (error) {
        failures++
        if (failures === 1 && !ending.signal.aborted)
          logger.warn({ error, id: event.id }, 'a report of a leak waits for Kafka')
        await pause(Math.min(PAUSE_MAX_MS, 100 * 2 ** failures), ending.signal)
      }
    }
  }

  function said({ leak, origin }: Report, fingerprint: string | undefined): CloudEvent {
    if (fingerprint === undefined) return eventOf(leak, origin)
    try {
      return eventOf({ ...leak, fingerprint }, origin)
    } catch (error) {
      logger.error(
        { error, about: origin },
        'what Vault made is no fingerprint; the leak is reported without it',
      )
      return eventOf(leak, origin)
    }
  }

  async function fingerprintOf({ alert, isNamed, origin }: Report): Promise<string | undefined> {
    if (!alert || !identify) return undefined
    const until = performance.now() + (isNamed ? NAMED_MS : UNNAMED_MS)
    for (let failures = 1; ; failures++) {
      try {
        return await inTurn(() =>
          identify(alert, AbortSignal.any([ending.signal, AbortSignal.timeout(LOOK_MS)])),
        )
      } catch (error) {
        ending.signal.throwIfAborted()
        const pauseMs = Math.min(PAUSE_MAX_MS, 250 * 2 ** failures)
        const isOver = !(RekeyError.is(error) && error.retryable) || performance.now() + pauseMs >= until
        logger.warn({ error, about: origin, failures, isOver }, 'the value of an alert is not known')
        if (isOver) return undefined
        await pause(pauseMs, ending.signal)
      }
    }
  }

  /** A few at once: GitHub ends the token's welcome where it is asked for much at a time. */
  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (looking >= AT_ONCE) await new Promise<void>((resolve) => turns.push(resolve))
    else looking++
    try {
      return await work()
    } finally {
      const next = turns.shift()
      if (next) next()
      else looking--
    }
  }

  for (const report of spool.found) begin(report)
  return {
    async take(report) {
      if (!(await spool.put(report))) return false
      begin(report)
      return true
    },
    state() {
      const now = performance.now()
      return {
        waiting: working.size,
        late: [...working.values()].some(({ since }) => now - since > LATE_MS),
      }
    },
    async close() {
      ending.abort()
      await Promise.all([...working.values()].map(({ done }) => done))
    },
  }
}

/** A send may take long to fail; who has to go leaves it behind, and the next process sends again. */
function unless(signal: AbortSignal, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const leave = () => reject(signal.reason)
  signal.addEventListener('abort', leave)
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', leave))
}
