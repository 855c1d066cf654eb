import type { Logger } from './logger.ts'

const DEADLINE_MS = 5_000

/** Runs `end` once on SIGTERM or SIGINT, then exits 0; exits 1 where it takes longer than 5 s. */
export function onShutdown(logger: Logger, end: () => Promise<void>): void {
  let ending = false
  const stop = (signal: string) => {
    if (ending) return
    ending = true
    logger.info({ signal }, 'shutting down')
    setTimeout(() => process.exit(1), DEADLINE_MS).unref()
    end().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error }, 'shutdown failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** Runs `work` again and again until `signal` ends it; a failure is logged and waits longer each time. */
export async function retrying(
  logger: Logger,
  what: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    try {
      await work()
      failures = 0
    } catch (error) {
      failures++
      logger.warn({ error, what, failures }, 'work failed, trying again')
      await pause(Math.min(5_000, 100 * 2 ** failures), signal)
    }
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
