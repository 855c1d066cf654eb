import { createHash } from 'node:crypto'
import type { AcceptedValue } from '@rekey/contracts'
import type { Grave } from './node-adapter.ts'

/** What a gateway knows keys by: SHA-256 of a value, as 64 hexadecimal digits → key id. Never a value. */
export type Entries = Map<string, string>

export const digestOf = (value: string): string => createHash('sha256').update(value).digest('hex')

/** Key ids become parts of command lines, headers and log lines. */
export function checkKeyId(keyId: string): string {
  if (!/^[A-Za-z0-9._-]{1,127}$/.test(keyId)) throw new Error('a key id has characters out of range')
  return keyId
}

export const entriesOf = (accept: AcceptedValue[]): Entries =>
  new Map(accept.map(({ keyId, value }) => [digestOf(value.reveal()), checkKeyId(keyId)]))

export const entriesOfGraves = (graves: Grave[]): Entries =>
  new Map(graves.map(({ digest, keyId }) => [digest, checkKeyId(keyId)]))

export const sameEntries = (a: Entries, b: Entries): boolean =>
  a.size === b.size && [...a].every(([digest, keyId]) => b.get(digest) === keyId)

/** Key ids are `<credential>.g<generation>`. */
export function generationOf(keyId: string, credential: string): number | undefined {
  if (!keyId.startsWith(`${credential}.g`)) return undefined
  const rest = keyId.slice(credential.length + 2)
  return /^[1-9]\d{0,9}$/.test(rest) ? Number(rest) : undefined
}

/** What is left when these generations are dropped: no value need be known for that. */
export const without = (entries: Entries, credential: string, generations: number[]): Entries =>
  new Map(
    [...entries].filter(([, keyId]) => {
      const generation = generationOf(keyId, credential)
      return generation === undefined || !generations.includes(generation)
    }),
  )
