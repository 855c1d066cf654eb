import { createHash } from 'node:crypto'
import type { Change, Leak } from '@rekey/core'
import { decode, digest, emitterOf, type IncomingRecord, toChange } from '@rekey/events'

/** A record and where it lies. */
export type Located = IncomingRecord & { topic: string; partition: number; offset: string }

/** What a record turned out to be. `who` is known of most bad records too; then their sender gets a verdict. */
export type Reading =
  | { kind: 'change'; who: Who; change: Change | Leak }
  | { kind: 'bad'; who: Who | undefined; reason: string }

/** Everything that the inbox knows an event by. */
export type Who = { source: string; id: string; digest: string; emitter: string }

export function read(record: Located): Reading {
  const emitter = emitterOf(record.topic)
  const decoded = decode(record)
  if (!decoded.ok) {
    const { id, source, reason } = decoded
    if (id === undefined || source === undefined) return { kind: 'bad', who: undefined, reason }
    return { kind: 'bad', who: { source, id, digest: digestOfBytes(record), emitter }, reason }
  }
  const { event } = decoded
  const who = { source: event.source, id: event.id, digest: digest(event), emitter }
  const result = toChange(event)
  return result.ok
    ? { kind: 'change', who, change: result.change }
    : { kind: 'bad', who, reason: result.reason }
}

function digestOfBytes({ value }: Located): string {
  return createHash('sha256')
    .update(value ?? '')
    .digest('hex')
}
