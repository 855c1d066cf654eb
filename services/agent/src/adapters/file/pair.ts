import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { PemBundle } from '@rekey/contracts'
import { readIfPresent } from '@rekey/runtime'

/** As Kubernetes has them in a volume of a TLS secret. */
const CERTIFICATE = 'tls.crt'
const KEY = 'tls.key'
const NOW = '..data'
const SET = /^\.\.[0-9a-f]{16}$/

/**
 * A certificate and its key as two files that change together. They are links through one more link, `..data`, to a folder with
 * both: what changes is that one. Whoever reads both through what `..data` is at that moment has a pair; the one
 * before stays until the next order, for who is in the middle of reading it.
 */
export async function writePair(folder: string, pair: PemBundle | undefined): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const before = await setOf(folder)
  const set = `..${randomBytes(8).toString('hex')}`
  await mkdir(join(folder, set), { mode: 0o700 })
  for (const [name, text] of Object.entries(filesOf(pair))) await writeNew(join(folder, set, name), text)
  await sync(join(folder, set))
  await point(folder, NOW, set)
  for (const name of [CERTIFICATE, KEY]) await point(folder, name, join(NOW, name))
  await sync(folder)
  // What is to be gone is gone at once: nobody is in the middle of reading what shall not be used.
  await sweep(folder, pair ? [set, before] : [set])
}

/** Whether the files are exactly this pair. */
export async function holdsPair(folder: string, pair: PemBundle | undefined): Promise<boolean> {
  const set = await setOf(folder)
  if (set === undefined) return false
  const files = filesOf(pair)
  for (const name of [CERTIFICATE, KEY]) {
    if ((await linkOf(join(folder, name))) !== join(NOW, name)) return false
    if ((await readIfPresent(join(folder, set, name))) !== files[name]) return false
  }
  return true
}

/** Removes what was there before: it holds a key that may be dead by now. */
export async function sweepPair(folder: string): Promise<void> {
  await sweep(folder, [await setOf(folder)])
}

function filesOf(pair: PemBundle | undefined): Record<string, string> {
  if (!pair) return {}
  return { [CERTIFICATE]: [pair.certificate, ...pair.chain].join(''), [KEY]: pair.key.reveal() }
}

async function setOf(folder: string): Promise<string | undefined> {
  const set = await linkOf(join(folder, NOW))
  return set !== undefined && SET.test(set) ? set : undefined
}

async function linkOf(path: string): Promise<string | undefined> {
  try {
    return await readlink(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // EINVAL: somebody put a file there.
    if (code === 'ENOENT' || code === 'EINVAL') return undefined
    throw error
  }
}

/** In one step, whatever was there. */
async function point(folder: string, name: string, target: string): Promise<void> {
  if ((await linkOf(join(folder, name))) === target) return
  const temporary = join(folder, `${name}.tmp`)
  await rm(temporary, { force: true })
  await symlink(target, temporary)
  await rename(temporary, join(folder, name))
}

async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function sweep(folder: string, keep: (string | undefined)[]): Promise<void> {
  const found = await readdir(folder)
  const old = found.filter((name) => SET.test(name) && !keep.includes(name))
  for (const name of old) await rm(join(folder, name), { recursive: true, force: true })
}
