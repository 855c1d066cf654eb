import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** `children`: what its children use, and have used, counts too. */
export type Watched = { name: string; pid: number | undefined; children?: boolean }

/** Seconds of processor time by process since the last look. Linux only; elsewhere it knows nothing. */
export class Cpu {
  readonly #watched: Watched[]
  #before = new Map<string, number>()

  constructor(watched: Watched[]) {
    this.#watched = watched
    this.lap()
  }

  lap(): Map<string, number> {
    const now = new Map<string, number>()
    for (const { name, pid, children } of this.#watched) {
      const used = pid === undefined ? undefined : secondsOf(pid, children ?? false)
      if (used !== undefined) now.set(name, used)
    }
    const lap = new Map([...now].map(([name, used]) => [name, used - (this.#before.get(name) ?? 0)]))
    this.#before = now
    return lap
  }
}

let ticksPerS: number | undefined

function secondsOf(pid: number, children: boolean): number | undefined {
  const own = read(pid)
  if (!own) return undefined
  let ticks = own.ticks
  if (children) {
    // Those that have ended were added to their parent's account.
    ticks += own.endedTicks
    for (const name of readdirSync('/proc')) {
      const child = /^\d+$/.test(name) ? read(Number(name)) : undefined
      if (child?.parent === pid) ticks += child.ticks + child.endedTicks
    }
  }
  ticksPerS ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return ticks / ticksPerS
}

function read(pid: number): { parent: number; ticks: number; endedTicks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name comes second, in brackets, and may hold anything.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [parent = 0, utime = 0, stime = 0, cutime = 0, cstime = 0] = [1, 11, 12, 13, 14].map(
      (at) => fields[at],
    )
    return { parent, ticks: utime + stime, endedTicks: cutime + cstime }
  } catch {
    return undefined
  }
}

/** The parent of a process; undefined where that cannot be seen. */
export function parentOf(pid: number): number | undefined {
  return read(pid)?.parent
}

/** What of a process is in memory now. Linux only. */
export function residentBytes(pid: number): number | undefined {
  try {
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return found ? Number(found[1]) * 1_024 : undefined
  } catch {
    return undefined
  }
}
