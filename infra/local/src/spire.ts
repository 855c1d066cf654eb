import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, type Progress } from './cache.ts'
import { Complaint } from './complaint.ts'
import { goBuild } from './go-build.ts'

const MODULE = 'github.com/spiffe/spire@v1.13.3'
/** Of the module as the checksum database of Go has it; its own go.sum holds the sums of all that it needs. */
const SUM = 'h1:wDTK8tj8ShO5izjue/OFanVaehmjUxSxHtSWxBY+FJQ='
const COMMANDS = ['spire-server', 'spire-agent'] as const
const BUILD = ['-trimpath', '-ldflags=-s -w']

export type Spire = { server: string; agent: string }

/**
 * SPIRE's server and agent, compiled here because no package registry carries them. Without cgo, so that no C compiler is
 * needed; such a server has no SQLite and wants PostgreSQL. A tool of tests, never shipped.
 */
export async function ensureSpire(progress: Progress = () => {}): Promise<Spire> {
  const dir = await cached(
    {
      name: 'spire',
      recipe: [MODULE, SUM, ...COMMANDS, ...BUILD, process.platform, process.arch],
      notice: 'building SPIRE 1.13.3 with Go, once (10 to 12 minutes on two busy cores, 4 GB of disk)',
      build: (building, say) =>
        goBuild(
          building,
          { what: 'SPIRE', needs: '5 GB of disk and 3 GB of memory', instead: '', say },
          async (go) => {
            const said = await go(['mod', 'download', '-json', MODULE], building)
            const found = JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1))
            if (found.Sum !== SUM)
              throw new Complaint(`${MODULE} is not what it was: its sum is ${found.Sum}.`)
            const source = join(building, 'source')
            await cp(found.Dir, source, { recursive: true })
            const packages = COMMANDS.map((name) => `./cmd/${name}`)
            await go(['build', ...BUILD, '-o', `${building}/`, ...packages], source)
            await rm(source, { recursive: true, force: true })
          },
        ),
    },
    progress,
  )
  return { server: join(dir, 'spire-server'), agent: join(dir, 'spire-agent') }
}
