import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import { ensurePrivateFolder, readIfPresent, writeDurably } from './durable-file.ts'

export type Spool<T> = {
  /** Returns when the record would outlive a crash of the machine. Throws `backend_unavailable` where it cannot be kept. */
  keep(id: string, record: T): Promise<void>
  remove(id: string): Promise<void>
  /** What is kept, in no order. What cannot be read is left where it is, and told to `onUnreadable`. */
  read(onUnreadable: (id: string) => void): Promise<{ id: string; record: T }[]>
}

const ENDING = '.json'
const KEPT_MAX = 10_000

/**
 * A folder of records that wait to be told elsewhere, one file each. It belongs to one process; one that is full takes
 * no more, because what is in it must not be lost either.
 */
export async function openSpool<T>(folder: string, keptMax = KEPT_MAX): Promise<Spool<T>> {
  await ensurePrivateFolder(folder)
  const pathOf = (id: string) => join(folder, `${id}${ENDING}`)
  const ids = async () =>
    (await readdir(folder))
      .filter((name) => name.endsWith(ENDING))
      .map((name) => name.slice(0, -ENDING.length))
  return {
    async keep(id, record) {
      // An id becomes the name of a file.
      if (!/^[A-Za-z0-9-]{1,100}$/.test(id))
        throw new TypeError('an id of a spool has characters out of range')
      const kept = await ids()
      if (kept.length >= keptMax && !kept.includes(id))
        throw unusable(folder, `it is full (${keptMax} records)`)
      try {
        await writeDurably(pathOf(id), JSON.stringify(record))
      } catch (error) {
        throw unusable(folder, error instanceof Error && 'code' in error ? String(error.code) : 'it failed')
      }
    },
    remove: (id) => rm(pathOf(id), { force: true }),
    async read(onUnreadable) {
      const found: { id: string; record: T }[] = []
      for (const id of await ids()) {
        try {
          const text = await readIfPresent(pathOf(id))
          if (text !== undefined) found.push({ id, record: JSON.parse(text) as T })
        } catch {
          onUnreadable(id)
        }
      }
      return found
    },
  }
}

function unusable(folder: string, why: string): RekeyError {
  return new RekeyError('backend_unavailable', `nothing can be written to the spool ${folder}: ${why}`)
}
