import { createHash } from 'node:crypto'

/**
 * What may stand for a value where the value may not be: SHA-256 of its UTF-8 bytes, as 64 hexadecimal digits. Whoever has
 * it can try guesses, so it is sent and never kept: what is kept is its HMAC with a key that does not leave Vault.
 */
export function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** Makes fingerprints: the HMAC of digests, by a key that nobody can read. The same digest gives the same one, for ever. */
export interface Fingerprints {
  /** In the order of the digests. */
  of(digests: readonly string[], bound?: { signal?: AbortSignal }): Promise<string[]>
}
