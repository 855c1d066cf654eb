import { Secret, type StoredValue } from '@rekey/contracts'

/** What lies in SecretString. The order of fields is fixed: AWS compares texts to tell a repeat from a clash. */
export function secretString(stored: StoredValue): Secret {
  const { value, generation, keyId } = stored
  return Secret.of(JSON.stringify({ value: value.reveal(), generation, key_id: keyId }))
}

/** Undefined for a text that Rekey did not write. */
export function storedValueOf(text: Secret): StoredValue | undefined {
  try {
    const found: unknown = JSON.parse(text.reveal())
    if (typeof found !== 'object' || found === null) return undefined
    const { value, generation, key_id: keyId } = found as Record<string, unknown>
    if (typeof value !== 'string' || typeof keyId !== 'string' || !Number.isSafeInteger(generation))
      return undefined
    return { value: Secret.of(value), generation: Number(generation), keyId }
  } catch {
    return undefined
  }
}

/** Says to whoever reads too early what is going on. It has no `value`, so that it is never taken for one. */
export const EMPTY = Secret.of(JSON.stringify({ rekey: 'no value has been promoted yet' }))

/** What readers get in place of a value that was withdrawn. */
export const WITHDRAWN = Secret.of(JSON.stringify({ rekey: 'the value was withdrawn' }))

/** Where a generation was destroyed that was never staged. */
export const TOMBSTONE = Secret.of(JSON.stringify({ rekey: 'this generation was destroyed' }))
