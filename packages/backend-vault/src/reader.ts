import type { ReadValue } from '@rekey/contracts'
import type { VaultClient } from './client.ts'
import { fromMain, generationOf, isWithdrawn, readValueOf, STAGING, stagingPath } from './kv-record.ts'
import { type KvSecret, kvAt } from './place.ts'
import type { Bound } from './session.ts'

/** A credential as a node reads it, with the node's own identity and no right but reading. */
export type VaultReader = {
  /** The value of a generation, staged or promoted; undefined if it is destroyed or was never made. */
  read(generation: number, bound?: Bound): Promise<ReadValue | undefined>
  /** What readers without an agent get now; undefined if nothing was promoted, or it was withdrawn. */
  readCurrent(bound?: Bound): Promise<ReadValue | undefined>
}

export function vaultReader(vault: VaultClient, place: KvSecret): VaultReader {
  const { mount, path, field } = place
  const client = kvAt(vault, place)
  const where = `${mount}/${path}`

  async function readCurrent(bound?: Bound): Promise<ReadValue | undefined> {
    const found = await client.kvRead(mount, path, bound)
    const current = found && fromMain(found, field)
    return current && !isWithdrawn(current) ? readValueOf(current, String(current.version), where) : undefined
  }

  return {
    readCurrent,
    async read(generation, bound) {
      const staged = await client.kvRead(mount, stagingPath(path, generation), bound)
      // The generation inside the data counts, not the name of the path: a node has a floor to keep.
      if (staged && generationOf(staged) === generation) return readValueOf(staged, STAGING, where)
      const current = await readCurrent(bound)
      return current?.generation === generation ? current : undefined
    },
  }
}
