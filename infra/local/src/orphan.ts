import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endGroup, groupLives, startTime } from './process-group.ts'

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
    if (pgid > 1 && groupLives(pgid) && (now === began || now === '-')) {
      await endGroup(pgid, signal === 'QUIT' ? 'SIGQUIT' : 'SIGKILL', 2_000)
      ended.push(name)
    }
    await rm(file, { force: true })
  }
  return ended
}
