import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type OneProcess, processAt } from '../pid-file.ts'

/** As NGINX names them in its process list: "worker process", and "worker process is shutting down" once it was told. */
const WORKER = /^nginx: worker process/
const LOOK_AGAIN_MS = 25
/** From the signal until the old workers have heard of it. */
const HEARD_MS = 5_000
/** On top of what the configuration gives to an old worker: its timer starts a little later than ours. */
const SLACK_MS = 2_000

/** Those of this master, be they new or old. */
export async function workersOf(master: OneProcess): Promise<OneProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const one = await processAt(pid)
      return one?.parent === master.pid && WORKER.test(await titleOf(pid)) ? one : undefined
    }),
  )
  return found.filter((one) => one !== undefined)
}

/**
 * Waits until none of these is left. An old worker goes on with what it had begun, with the keys that it had when it began, and what a
 * client may still send on its connections differs from protocol to protocol. Only its end is the end of a key.
 */
export async function ended(workers: readonly OneProcess[], shutdownMs: number): Promise<void> {
  const start = performance.now()
  for (;;) {
    const left = await stillThere(workers)
    if (left.length === 0) return
    const waitedMs = performance.now() - start
    if (waitedMs > HEARD_MS && !(await allShutDown(left)))
      throw new NotReloaded(
        'NGINX was told to reload, and goes on with its old workers: its error log says why',
      )
    if (waitedMs > shutdownMs + SLACK_MS)
      throw new Error(
        `${left.length} old workers of NGINX still serve with the keys from before: set worker_shutdown_timeout to ${shutdownMs} ms, or shutdownMs to what it is`,
      )
    await delay(LOOK_AGAIN_MS)
  }
}

/** It must be told again. */
export class NotReloaded extends Error {}

async function stillThere(workers: readonly OneProcess[]): Promise<OneProcess[]> {
  const found = await Promise.all(
    workers.map(async (worker) => {
      const now = await processAt(worker.pid)
      return now && now.state !== 'Z' && now.startedAtTicks === worker.startedAtTicks ? worker : undefined
    }),
  )
  return found.filter((one) => one !== undefined)
}

async function allShutDown(workers: readonly OneProcess[]): Promise<boolean> {
  const titles = await Promise.all(workers.map(({ pid }) => titleOf(pid)))
  return titles.every((title) => title === '' || title.includes('is shutting down'))
}

/** What stands for its command line. Empty: it has ended. */
const titleOf = (pid: number) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')
