import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'

/** Lower-case hexadecimal SHA-256 of the UTF-8 bytes. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** RFC 8785: one value has one text, so its hash is that of its content. */
export function canonical(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('not a JSON value')
  return text
}
