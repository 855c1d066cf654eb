import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes a file so that a crash at any moment leaves the old content or the new one, never a part: a temporary
 * file in the same folder, fsync, rename, fsync of the folder. The temporary file is made anew each time
 * ('wx'), so that a planted link or a left-over with wider rights is never written to.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.tmp`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', mode)
  try {
    // Whatever the process's umask takes away: who shall read it would be locked out.
    await file.chmod(mode)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes the folder for our eyes only, and refuses one that others can open: it holds a private key. */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0) {
    throw new Error(`stateDir ${path} is open to others (mode ${(mode & 0o777).toString(8)}): chmod 0700`)
  }
}
