import files, { type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { shortened } from './names.ts'
import { after, before } from './points.ts'

/** Points are the steps of a durable write: make, write, fsync, rename, fsync of the folder. */
export function hookFiles(): void {
  const { open, rename } = files
  files.open = async (path, flags, mode) => {
    const isWritten = typeof flags === 'string' && /[wa+]/.test(flags)
    const make = () => open(path, flags, mode)
    const handle = isWritten ? await pass('make', String(path), make) : await make()
    watch(handle, String(path), isWritten)
    return handle
  }
  files.rename = (from, to) => pass('rename', String(to), () => rename(from, to))
}

function watch(handle: FileHandle, path: string, isWritten: boolean): void {
  const sync = handle.sync.bind(handle)
  handle.sync = () => pass(isWritten ? 'sync' : 'sync folder', path, sync)
  if (!isWritten) return
  const write = handle.writeFile.bind(handle)
  handle.writeFile = (...args) => pass('write', path, () => write(...args))
}

async function pass<T>(verb: string, path: string, work: () => Promise<T>): Promise<T> {
  const name = basename(path).replace(/\.tmp$/, '')
  const act = before((plan) => [`file ${verb} ${shortened(name, plan)}`])
  const result = await work()
  after(act)
  return result
}
