import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import { endGroup, signalGroup } from './server.ts'

/** When a process began, as the system writes it: a pid alone may belong to somebody else by now. */
export async function startTime(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; the start time is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-'
  } catch {
    const started = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => '')
    return started.trim().replaceAll(/\s+/g, '_') || '-'
  }
}

/** Ends what an earlier launcher left in `dir`, if even its reaper was killed. Returns the names of what it ended. */
export async function endOrphans(dir: string): Promise<string[]> {
  const names = await readdir(join(dir, 'run')).catch(() => [])
  const ended: string[] = []
  for (const name of names) {
    const file = join(dir, 'run', name)
    const [pid, began, signal] = (await readFile(file, 'utf8')).trim().split(' ')
    const pgid = Number(pid)
    // With the leader gone its number cannot be given out again while its group lives, so the group is still ours.
    const now = await startTime(pgid)
    if (pgid > 1 && signalGroup(pgid, 0) && (now === began || now === '-')) {
      await endGroup(pgid, signal === 'QUIT' ? 'SIGQUIT' : 'SIGKILL', 2_000)
      ended.push(name)
    }
    await rm(file, { force: true })
  }
  return ended
}
