import type { Change, Leak } from '@rekey/core'
import { type CloudEvent, digest, newEvent } from '@rekey/events'
import type { Origin } from './source.ts'

/**
 * The event that says it. Its id follows from what it is about and from what it says, and from no delivery: a redelivery
 * is a duplicate, and one that says more than the last (its value could be fetched by now) is an event of its own.
 */
export function eventOf(said: Change | Leak, { source, name, at }: Origin): CloudEvent {
  const content = digest(newEvent(said, { id: name, source, at })).slice(0, 16)
  return newEvent(said, { id: `${name}/${content}`, source, at })
}
