import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Progress } from './cache.ts'
import { CommandFailed, lastLine, run } from './command.ts'
import { Complaint } from './complaint.ts'
import { ensureGo } from './go.ts'
import { stillWorking } from './still-working.ts'

/** Go in a folder that is being built, with caches that are gone afterwards: they hold gigabytes that nobody needs again. */
export async function goBuild(
  building: string,
  about: { what: string; needs: string; instead: string; say: Progress },
  steps: (go: (args: readonly string[], cwd: string) => Promise<string>) => Promise<void>,
): Promise<void> {
  const { what, needs, instead, say } = about
  const go = await ensureGo(say)
  const env = {
    ...process.env,
    ...go.env,
    CGO_ENABLED: '0',
    // Writable, so that they can be removed.
    GOFLAGS: '-p=2 -buildvcs=false -modcacherw',
    GOMODCACHE: join(building, 'modules'),
    GOCACHE: join(building, 'objects'),
    GOTMPDIR: building,
  }
  try {
    await stillWorking(`building ${what}`, say, () => steps((args, cwd) => run(go.path, args, { cwd, env })))
  } catch (error) {
    if (error instanceof Complaint) throw error
    throw new Complaint(
      `${what} could not be built: see that this machine reaches the Go module proxy and has ${needs}${instead} ` +
        `(${error instanceof CommandFailed ? lastLine(error.output) : error}).`,
    )
  }
  await Promise.all(
    ['modules', 'objects'].map((name) => rm(join(building, name), { recursive: true, force: true })),
  )
}
