import {
  OWN_FIELDS,
  othersIn,
  type ReadValue,
  RekeyError,
  Secret,
  type StoredValue,
  type StoreVersion,
} from '@rekey/contracts'
import type { KvVersion } from './kv.ts'

/** One generation as it lies in KV: value, generation and key id always together. */
export type KvRecord = { value: string; generation: number; key_id: string; call_key: string }

export const STAGING = 'staging'

/** `callKey` says which call wrote it, so that a repeat of that call is known from the data itself. */
export function recordOf(stored: StoredValue, callKey: string): KvRecord {
  return {
    value: stored.value.reveal(),
    generation: stored.generation,
    key_id: stored.keyId,
    call_key: callKey,
  }
}

/** What is written, and then destroyed, where a generation is destroyed that was never staged. */
export const tombstoneOf = (generation: number) => ({ tombstone: true, generation })

export function isTombstone(found: KvVersion | undefined): boolean {
  return found?.data.tombstone === true
}

/** What readers get in place of a value. It has no `value`, so that it is never taken for one. */
export const withdrawnOf = (generation: number, callKey: string) => ({
  withdrawn: true,
  generation,
  call_key: callKey,
})

export function isWithdrawn(found: KvVersion | undefined): boolean {
  return found?.data.withdrawn === true && found.data.value === undefined
}

/** A version that readers get, with its value under `value` as in a staging copy, and what lies beside it. */
export type MainRecord = KvVersion & { others: Record<string, unknown> }

/** As it lies at the path that readers read. `field`: where they find the value; undefined: it is all that they find. */
export function fromMain(found: KvVersion, field: string | undefined): MainRecord {
  if (field === undefined) return { ...found, others: {} }
  const notes = Object.entries(found.data).filter(([name]) => OWN_FIELDS.includes(name))
  const value = found.data[field]
  const data = { ...Object.fromEntries(notes), ...(value !== undefined && { value }) }
  return { version: found.version, data, others: othersIn(found.data, field) }
}

/** The way back: what lay beside the value before stays beside it. */
export function toMain(
  data: Record<string, unknown>,
  field: string | undefined,
  before: MainRecord | undefined,
): Record<string, unknown> {
  if (field === undefined) return data
  const { value, ...notes } = data
  return { ...before?.others, ...(value !== undefined && { [field]: value }), ...notes }
}

/** Undefined for data that Rekey did not write. */
export function generationOf(found: KvVersion | undefined): number | undefined {
  const data = found?.data
  if (!data || typeof data.value !== 'string' || typeof data.key_id !== 'string') return undefined
  return Number.isSafeInteger(data.generation) ? Number(data.generation) : undefined
}

export function readValueOf(found: KvVersion, storeVersion: StoreVersion, where: string): ReadValue {
  const generation = generationOf(found)
  if (generation === undefined) {
    throw new RekeyError('foreign_writer', `${where} holds a version that Rekey did not write`)
  }
  const { value, key_id } = found.data
  return { generation, keyId: String(key_id), value: Secret.of(String(value)), storeVersion }
}

/**
 * Which generation each main version holds, kept in the path's custom metadata under one key (`5=3,6=4`).
 * A hint: the data itself decides wherever it can be read. It is needed for versions that somebody deleted softly,
 * whose bytes Vault keeps but does not show.
 */
export const GENERATIONS_KEY = 'rekey_generations'

export function generationsFrom(hint: string | undefined): Map<number, number> {
  const pairs = (hint ?? '').split(',').map((pair) => pair.split('=').map(Number))
  const whole = pairs.filter(
    (pair) => pair.length === 2 && pair.every((n) => Number.isSafeInteger(n) && n > 0),
  )
  return new Map(whole.map(([version = 0, generation = 0]) => [version, generation]))
}

export function generationsText(generations: Map<number, number>): string {
  // Vault takes at most 512 bytes: the newest 20 versions are more than a mount keeps by default.
  const newest = [...generations].sort(([a], [b]) => a - b).slice(-20)
  return newest.map(([version, generation]) => `${version}=${generation}`).join(',')
}

export function stagingPath(path: string, generation?: number): string {
  const folder = `rekey-staging/${path}`
  return generation === undefined ? folder : `${folder}/${generation}`
}
