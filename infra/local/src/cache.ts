import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { forget, watch } from './reaper.ts'

export type Progress = (line: string) => void

/** `recipe` is everything that decides the result: another recipe is another entry, so nothing is ever updated in place. */
export type Artefact = {
  name: string
  recipe: readonly string[]
  /** Said before the work starts: what, and how long it may take. */
  notice: string
  build: (dir: string, progress: Progress) => Promise<void>
}

export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rekey')
}

const underWay = new Map<string, Promise<string>>()

/** Where an artefact is, or will be. */
export function folderOf({ name, recipe }: Pick<Artefact, 'name' | 'recipe'>, root = cacheDir()): string {
  return join(root, `${name}-${createHash('sha256').update(recipe.join('\0')).digest('hex').slice(0, 16)}`)
}

/** The folder of an artefact, built now if need be: by one process at a time, and visible only when complete. */
export function cached(artefact: Artefact, progress: Progress, root = cacheDir()): Promise<string> {
  const dir = folderOf(artefact, root)
  if (existsSync(dir)) return Promise.resolve(dir)
  const running = underWay.get(dir)
  if (running) return running
  const building = build(artefact, dir, root, progress).finally(() => underWay.delete(dir))
  underWay.set(dir, building)
  return building
}

async function build(artefact: Artefact, dir: string, root: string, progress: Progress): Promise<string> {
  await mkdir(root, { recursive: true })
  using _lock = await takeLock(join(root, `${artefact.name}.lock`), () =>
    progress(`another process is preparing ${artefact.name}: waiting for it`),
  )
  if (existsSync(dir)) return dir
  // Left over by a set-up that was killed: the lock says that nobody works there any more.
  for (const entry of await readdir(root)) {
    if (entry.startsWith(`.${artefact.name}.building-`)) await remove(join(root, entry))
  }
  const building = join(root, `.${artefact.name}.building-${process.pid}`)
  await mkdir(building)
  const entry = `directory ${building}` as const
  watch(entry)
  const startedAt = performance.now()
  progress(artefact.notice)
  try {
    await artefact.build(building, progress)
    await rename(building, dir)
  } catch (error) {
    await remove(building)
    throw error
  } finally {
    forget(entry)
  }
  progress(
    `${artefact.name} is ready after ${((performance.now() - startedAt) / 1000).toFixed(0)} s, and cached`,
  )
  return dir
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 })
}

/** SQLite's file lock, because the kernel drops it when its holder dies: a lock file of our own could be left behind. */
async function takeLock(file: string, onWait: () => void): Promise<Disposable> {
  let told = false
  for (;;) {
    const database = new DatabaseSync(file)
    try {
      database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      return { [Symbol.dispose]: () => database.close() }
    } catch (error) {
      database.close()
      if (!/locked|busy/.test(String(error))) throw error
    }
    if (!told) onWait()
    told = true
    await delay(300)
  }
}
