import { RekeyError } from '@rekey/contracts'
import type { Change, Leak } from '@rekey/core'
import type { CloudEvent } from './cloud-event.ts'
import { KNOWN_TYPES } from './known-type.ts'
import { isLeak, toChange } from './to-change.ts'

/** Who says it, under which id, and when. Values, so that a caller can repeat an event exactly. */
export type Origin = { id: string; source: string; at: Date }

/** The newest event that says `change`: what `toChange` reads back. Throws `invalid_event` where none can say it. */
export function newEvent(change: Change | Leak, { id, source, at }: Origin): CloudEvent {
  const name = typeName(change.type)
  const [version] = Object.keys(KNOWN_TYPES[name] ?? {})
  const type = `${name}.${version}`
  const body = isLeak(change) ? bodyOfLeak(change) : bodyOf(change)
  const event: CloudEvent = {
    specversion: '1.0',
    id,
    source,
    type,
    subject: body.subject.id,
    time: at.toISOString(),
    datacontenttype: 'application/json',
    extensions: { partitionkey: isLeak(change) ? change.credential : change.workload },
    data: { context: { specversion: '0.5.1', id, source, type, timestamp: at.toISOString() }, ...body },
  }
  const check = toChange(event)
  if (!check.ok) throw new RekeyError('invalid_event', `cannot say this change: ${check.reason}`)
  return event
}

function typeName(type: Change['type'] | Leak['type']): string {
  if (type === 'credential.leaked') return 'dev.cdeventsx.rekey-credential.leaked'
  return type.includes('.') ? `dev.cdevents.${type}` : `dev.cdeventsx.rekey-workload.${type}`
}

type Body = { subject: { id: string; content: object }; customData?: object }

function bodyOf({ type, workload, environment, facts }: Change): Body {
  if (environment === undefined) throw missing(type, 'environment')
  switch (type) {
    case 'service.deployed':
    case 'service.upgraded': {
      const { artifact, ...others } = facts
      if (artifact === undefined) throw missing(type, 'artifact')
      const subject = { id: workload, content: { environment: { id: environment }, artifactId: artifact } }
      return Object.keys(others).length === 0 ? { subject } : { subject, customData: { rekey: others } }
    }
    case 'environment.modified':
      return {
        subject: { id: environment, content: { name: environment } },
        customData: { rekey: { workload, ...facts } },
      }
    default:
      return { subject: { id: workload, content: { environment, ...facts } } }
  }
}

function bodyOfLeak({ credential, where, generation, fingerprint }: Leak): Body {
  const content = {
    where,
    ...(generation !== undefined && { generation }),
    ...(fingerprint !== undefined && { fingerprint }),
  }
  return { subject: { id: credential, content } }
}

function missing(type: Change['type'], field: string): RekeyError {
  return new RekeyError('invalid_event', `cannot say this change: ${type} needs the field ${field}`)
}
