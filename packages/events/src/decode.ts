import { type Attributes, type CloudEvent, checkAttributes, isStandard } from './cloud-event.ts'
import { type Headers, readHeaders } from './headers.ts'
import { isObject, parseJson } from './json.ts'
import type { IncomingRecord } from './kafka-record.ts'
import { utf8 } from './text.ts'

/**
 * CloudEvents 1.0 on Kafka, in binary and structured mode, strictly and only with JSON data.
 *
 * Records come from outside: nothing here throws, and no reason repeats anything of a record but the names of
 * headers and fields, because a reason is logged, published and kept, and a payload may hold what must not be.
 */
export type Decoded =
  | { ok: true; event: CloudEvent }
  /** `id` and `source` where they could be read: then the sender can be told. */
  | { ok: false; reason: string; id?: string; source?: string }

export const VALUE_BYTES_MAX = 1024 * 1024

type Failure = { ok: false; reason: string }
type Json = { ok: true; data: unknown } | Failure

export function decode(record: IncomingRecord): Decoded {
  const headers = readHeaders(record.headers)
  const type = mediaType(headers.contentType)
  const result = type?.startsWith('application/cloudevents')
    ? decodeStructured(type, record.value, headers)
    : decodeBinary(record.value, headers)
  return result.ok ? result : { ...identity(headers.attributes), ...result }
}

function decodeBinary(value: Buffer | null, headers: Headers): Decoded {
  if (headers.problem !== undefined) return failure(headers.problem)
  const given = new Map<string, unknown>(headers.attributes)
  // CloudEvents' own name for it is the header content-type; its SDK sends both.
  if (given.has('datacontenttype') && given.get('datacontenttype') !== headers.contentType) {
    return failure('header content-type and header ce_datacontenttype disagree')
  }
  if (headers.contentType !== undefined) given.set('datacontenttype', headers.contentType)
  const checked = checkAttributes(given, binaryLabel)
  if (!checked.ok) return checked
  const text = textOf(value)
  if (!text.ok) return text
  return withData(checked.attributes, jsonData(text.text, checked.attributes, 'value', 'header content-type'))
}

function decodeStructured(type: string, value: Buffer | null, headers: Headers): Decoded {
  if (headers.problem !== undefined) return failure(headers.problem)
  if (type !== 'application/cloudevents+json') {
    return failure('header content-type: only application/cloudevents+json is supported, one event a record')
  }
  if (!isUtf8(headers.contentType)) return failure('header content-type: only UTF-8 is supported')
  const text = textOf(value)
  if (!text.ok) return text
  const parsed = parseJson(text.text)
  if (!parsed.ok) return failure(`value: ${parsed.reason}`)
  if (!isObject(parsed.json)) return failure('value: not a JSON object')
  const { data, data_base64: base64, ...members } = parsed.json
  const given = new Map(Object.entries(members).filter(([, member]) => member !== null))
  const result = structuredEvent(given, data, base64, headers)
  return result.ok ? result : { ...identity(given), ...result }
}

function structuredEvent(
  given: Map<string, unknown>,
  data: unknown,
  base64: unknown,
  headers: Headers,
): Decoded {
  const checked = checkAttributes(given, structuredLabel)
  if (!checked.ok) return checked
  for (const [name, text] of headers.attributes) {
    if (!given.has(name) || String(given.get(name)) !== text) {
      const shown = isStandard(name) ? name : '*'
      return failure(`header ce_${shown} and ${structuredLabel(shown)} disagree`)
    }
  }
  if (base64 === undefined || base64 === null) {
    const unsupported = unsupportedData(checked.attributes.datacontenttype, 'value.datacontenttype')
    return withData(checked.attributes, unsupported ?? { ok: true, data })
  }
  if (data !== undefined) return failure('value.data and value.data_base64 are both given')
  if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    return failure('value.data_base64 is not base64')
  }
  const text = utf8(Buffer.from(base64, 'base64'))
  if (text === undefined) return failure('value.data_base64 is not UTF-8')
  return withData(
    checked.attributes,
    jsonData(text, checked.attributes, 'value.data_base64', 'value.datacontenttype'),
  )
}

function jsonData(text: string, attributes: Attributes, where: string, typeLabel: string): Json {
  const unsupported = unsupportedData(attributes.datacontenttype, typeLabel)
  if (unsupported !== undefined) return unsupported
  const parsed = parseJson(text)
  return parsed.ok ? { ok: true, data: parsed.json } : failure(`${where}: ${parsed.reason}`)
}

/** No content type at all is taken for JSON, CloudEvents' own default. */
function unsupportedData(contentType: string | undefined, label: string): Failure | undefined {
  const type = mediaType(contentType)
  if (type !== undefined && !/^[a-z]+\/([a-z0-9.-]+\+)?json$/.test(type)) {
    return failure(`${label}: only JSON data is supported`)
  }
  return isUtf8(contentType) ? undefined : failure(`${label}: only UTF-8 is supported`)
}

function textOf(value: Buffer | null): { ok: true; text: string } | Failure {
  if (value === null) return failure('value: none (a tombstone)')
  if (value.length === 0) return failure('value: empty')
  if (value.length > VALUE_BYTES_MAX) {
    return failure(`value: ${value.length} bytes are more than the limit of ${VALUE_BYTES_MAX}`)
  }
  const text = utf8(value)
  return text === undefined ? failure('value: not UTF-8') : { ok: true, text }
}

function withData(attributes: Attributes, json: Json): Decoded {
  return json.ok ? { ok: true, event: { ...attributes, data: json.data } } : json
}

/** What can be said of the event although it is bad: both parts or none, each as valid as in a good event. */
function identity(given: ReadonlyMap<string, unknown>): { id?: string; source?: string } {
  const probe = new Map([...['id', 'source'].map((name) => [name, given.get(name)] as const)])
  const checked = checkAttributes(new Map([...probe, ['type', 'x'], ['specversion', '1.0']]), structuredLabel)
  return checked.ok ? { id: checked.attributes.id, source: checked.attributes.source } : {}
}

function mediaType(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase()
}

function isUtf8(contentType: string | undefined): boolean {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(contentType ?? '')?.[1]
  return charset === undefined || /^(utf-8|us-ascii)$/i.test(charset)
}

function failure(reason: string): Failure {
  return { ok: false, reason }
}

const binaryLabel = (name: string) =>
  name === 'datacontenttype' ? 'header content-type' : `header ce_${name}`
const structuredLabel = (name: string) => `value.${name}`
