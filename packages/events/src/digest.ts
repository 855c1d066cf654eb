import { createHash } from 'node:crypto'
import type { CloudEvent } from './cloud-event.ts'
import { canonicalJson } from './json.ts'

/**
 * SHA-256 (hex) of what the event says, by which the inbox tells a repeat from another event under the same id.
 * The mode, key order, spaces, `time` and extensions do not count: gateways stamp and trace what they pass on, and
 * a redelivery through one of them is still the same event.
 */
export function digest({ id, source, type, subject, data }: CloudEvent): string {
  const said = { id, source, type, subject: subject ?? null, data: data ?? null }
  return createHash('sha256').update(canonicalJson(said)).digest('hex')
}
