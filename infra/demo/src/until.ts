import { setTimeout as delay } from 'node:timers/promises'

const SETTLED_MS = 30_000

/** Waits until something is seen; throws when it does not come in time. */
export async function until(what: string, seen: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + SETTLED_MS
  while (!(await seen())) {
    if (performance.now() > deadline) throw new Error(`waited ${SETTLED_MS / 1000} s in vain: ${what}`)
    await delay(50)
  }
}
