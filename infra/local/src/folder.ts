import { chmod, mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { forget } from './reaper.ts'

/** The folder of a stack, empty. What Vault and AWS have lost the others must not remember, so no data is ever kept. */
export async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  await clearFolder(dir)
  await rm(join(dir, 'logs'), { recursive: true, force: true })
  for (const name of ['logs', 'run', 'admin', 'identities']) await mkdir(join(dir, name), { mode: 0o700 })
  // PostgreSQL runs as another user when we are root: it must be able to walk to its data, and to see nothing else.
  const walkable = process.getuid?.() === 0 ? 0o711 : 0o700
  await mkdir(join(dir, 'data'), { mode: walkable })
  await chmod(dir, walkable)
}

/** Leaves only the logs: the rest is of no use to anybody once the servers are gone, and some of it is secret. */
export async function clearFolder(dir: string): Promise<void> {
  // PostgreSQL's may be a link to somewhere else.
  const data = await realpath(join(dir, 'data', 'postgres')).catch(() => undefined)
  if (data) {
    await rm(data, { recursive: true, force: true })
    forget(`directory ${data}`)
  }
  for (const name of ['data', 'admin', 'identities', 'run'])
    await rm(join(dir, name), { recursive: true, force: true })
}
