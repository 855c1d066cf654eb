import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from './command.ts'

const KILLED_AT_THE_LATEST_MS = 5_000

/** Ends a whole process group and waits until no member works any more. */
export async function endGroup(pgid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  const killAt = performance.now() + graceMs
  signalGroup(pgid, signal)
  while (groupLives(pgid) && performance.now() < killAt + KILLED_AT_THE_LATEST_MS) {
    if (performance.now() > killAt) signalGroup(pgid, 'SIGKILL')
    await delay(10)
  }
}

/** A dead process that nobody has waited for yet still takes signals; in a container without an init it does so for ever. */
export function groupLives(pgid: number): boolean {
  if (!signalGroup(pgid, 0)) return false
  if (process.platform !== 'linux') return true
  for (const pid of readdirSync('/proc')) {
    const [state, , group] = /^\d+$/.test(pid) ? statFields(pid) : []
    if (Number(group) === pgid && state !== 'Z' && state !== 'X') return true
  }
  return false
}

/** When a process began, as the system writes it: a pid alone may belong to somebody else by now. */
export async function startTime(pid: number): Promise<string> {
  if (process.platform === 'linux') return statFields(String(pid))[19] ?? '-'
  const started = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => '')
  return started.trim().replaceAll(/\s+/g, '_') || '-'
}

/** The fields after the name, which stands in parentheses and may hold spaces: state, parent, group … */
function statFields(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pgid, signal)
    return true
  } catch {
    return false
  }
}
