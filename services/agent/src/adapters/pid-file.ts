import { readFile, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { readIfPresent } from '@rekey/runtime'

/** How far a process's start and its pid file may be apart: the kernel tells the time of its own start in whole seconds. */
const GRAIN_MS = 2_000
/** Of the numbers in /proc/PID/stat, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export type OneProcess = { pid: number; parent: number; state: string; startedAtTicks: number }

/** By pid file, who it was the last time: a step of the clock moves the time of a start, and makes nobody another one. */
const accepted = new Map<string, OneProcess>()

/**
 * The process that a pid file names. A pid file outlives its process, and its number goes to another one: what had its number
 * after the file was written is not it, nor is one that has no handler for the signal, which would end it. On Linux only; elsewhere
 * the number is believed. That it is *that* software, and not another one that wrote there, cannot be seen.
 */
export async function processOf(
  pidFile: string,
  signal: 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2',
): Promise<OneProcess> {
  const text = (await readIfPresent(pidFile))?.trim()
  if (text === undefined || text === '') throw new Error(`${pidFile} names nobody: is the software running?`)
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`${pidFile} holds no process number`)
  const pid = Number(text)
  if (pid === process.pid)
    throw new Error(`${pidFile} names this agent itself: it was left behind by another`)
  if (process.platform !== 'linux') return { pid, parent: 0, state: 'R', startedAtTicks: 0 }
  const found = await processAt(pid)
  if (!found || found.state === 'Z')
    throw new Error(`${pidFile} names process ${pid}, which has ended: start the software`)
  const { mtimeMs } = await stat(pidFile)
  const known = accepted.get(pidFile)
  const isKnown = known?.pid === pid && known.startedAtTicks === found.startedAtTicks
  if (!isKnown && (await startOf(found)) > mtimeMs + GRAIN_MS)
    throw new Error(
      `${pidFile} was written before process ${pid} began: it was left behind by another; start the software again`,
    )
  if (!(await catches(pid, constants.signals[signal])))
    throw new Error(`process ${pid} of ${pidFile} has no handler for ${signal}: is that the right software?`)
  accepted.set(pidFile, found)
  return found
}

/** Undefined: there is none, or none that this user may see. */
export async function processAt(pid: number): Promise<OneProcess | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name, in brackets, may hold anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  if (!fields) return undefined
  return { pid, state: fields[0] ?? '', parent: Number(fields[1]), startedAtTicks: Number(fields[19]) }
}

export async function send(pid: number, signal: NodeJS.Signals): Promise<void> {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'EPERM' ? 'it belongs to another user: run the agent as its user' : code
    throw new Error(`process ${pid} cannot be sent ${signal}: ${why}`)
  }
}

async function startOf({ startedAtTicks }: OneProcess): Promise<number> {
  const boot = /^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1]
  return Number(boot) * 1_000 + (startedAtTicks * 1_000) / TICKS_PER_SECOND
}

/** Whether it has a handler, or waits for it in its own time. */
async function catches(pid: number, signal: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return ['SigCgt', 'SigBlk'].some((name) => {
    const mask = new RegExp(`^${name}:\\s*([0-9a-f]{16})$`, 'm').exec(text)?.[1]
    return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
  })
}
