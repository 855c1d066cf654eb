import { readFileSync } from 'node:fs'
import type { Change, Leak } from '@rekey/core'
import { type CloudEvent, decode, toChange } from '@rekey/events'
import { Complaint } from './complaint.ts'
import type { Terminal } from './terminal.ts'

/** Reads a CloudEvent in its JSON form, as intake will: what it would reject is found before it is sent. */
export async function readEvent(
  path: string,
  terminal: Terminal,
): Promise<{ event: CloudEvent; change: Change | Leak; json: unknown }> {
  const file = path === '-' ? 'stdin' : path
  const value = path === '-' ? Buffer.from(await terminal.input()) : read(path)
  const decoded = decode({ key: null, value, headers: { 'content-type': 'application/cloudevents+json' } })
  const result = decoded.ok ? toChange(decoded.event) : decoded
  if (!decoded.ok || !result.ok) {
    const reason = result.ok ? '' : result.reason
    throw new Complaint(
      'invalid_event',
      `${file}: ${reason}`,
      'Correct the field named above; examples/events has one of each kind.',
    )
  }
  return { event: decoded.event, change: result.change, json: JSON.parse(value.toString('utf8')) }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Complaint('bad_usage', `cannot read ${path}: ${why}`, 'Name a file with one event in it.')
  }
}
