import { isStandard } from './cloud-event.ts'
import type { IncomingRecord } from './kafka-record.ts'
import { isPlainText, utf8 } from './text.ts'

/** What the Kafka headers say: CloudEvents attributes by name, and the content type. Other headers are ignored. */
export type Headers = {
  contentType?: string
  attributes: Map<string, string>
  /** The first thing wrong with them. Attributes that were read are there all the same, for the event's id. */
  problem?: string
}

const BYTES_MAX = 64 * 1024

/** Names in any case, so that `CE_ID` beside `ce_id` is found to be a second one. */
export function readHeaders(raw: IncomingRecord['headers']): Headers {
  const headers: Headers = { attributes: new Map() }
  const seen = new Set<string>()
  let bytes = 0
  const complain = (problem: string) => {
    headers.problem ??= problem
  }
  for (const [rawName, values] of Object.entries(raw)) {
    // Kafka has null headers, which kafkajs's types do not mention.
    const list = [values].flat().filter((value) => value !== undefined && value !== null)
    for (const value of list) bytes += value.length
    const name = rawName.toLowerCase()
    if (list.length === 0 || !(name === 'content-type' || name.startsWith('ce_'))) continue
    const shown = name === 'content-type' || isStandard(name.slice('ce_'.length)) ? name : 'ce_*'
    const [first] = list
    if (list.length > 1 || seen.has(name) || first === undefined) {
      headers.attributes.delete(name.slice('ce_'.length))
      complain(`header ${shown} is given more than once`)
      continue
    }
    seen.add(name)
    const text = typeof first === 'string' ? first : utf8(first)
    if (text === undefined || !isPlainText(text)) {
      complain(`header ${shown} is not UTF-8 text`)
    } else if (name === 'content-type') {
      headers.contentType = text
    } else {
      headers.attributes.set(name.slice('ce_'.length), text)
    }
  }
  if (bytes > BYTES_MAX) complain(`headers are larger than ${BYTES_MAX} bytes`)
  return headers
}
