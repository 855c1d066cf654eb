import { isPlainText } from './text.ts'

/** A CloudEvent 1.0 with JSON data. */
export type CloudEvent = {
  specversion: '1.0'
  id: string
  source: string
  type: string
  subject?: string
  time?: string
  datacontenttype?: string
  dataschema?: string
  /** `partitionkey` is CloudEvents' own, and becomes the record's key. */
  extensions: { partitionkey?: string; [name: string]: string | number | boolean }
  /** Undefined: the event has no data. */
  data: unknown
}

const REQUIRED = ['specversion', 'id', 'source', 'type'] as const
const OPTIONAL = ['subject', 'time', 'datacontenttype', 'dataschema'] as const
const NAME = /^[a-z0-9]{1,64}$/
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
/** RFC 3986's characters; the ledger only compares sources, so that their grammar does not matter further. */
const URI_REFERENCE = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/

/** In bytes. (source, id) is an index entry of the inbox, which PostgreSQL limits to about 2,700 bytes. */
const BYTES_MAX: Record<string, number> = { id: 512, source: 1024, type: 512 }
const OTHER_BYTES_MAX = 4096

export type Attributes = Omit<CloudEvent, 'data'>
export type CheckedAttributes = { ok: true; attributes: Attributes } | { ok: false; reason: string }

/** Names that may appear in a reason. A sender can put anything into the name of an extension. */
export function isStandard(name: string): boolean {
  return [...REQUIRED, ...OPTIONAL].some((known) => known === name)
}

/** `label` names an attribute as the sender wrote it: `header ce_id` or `value.id`; an extension is `*`. */
export function checkAttributes(
  given: ReadonlyMap<string, unknown>,
  label: (name: string) => string,
): CheckedAttributes {
  const extensions: CloudEvent['extensions'] = {}
  const standard = new Map<string, string>()
  for (const name of REQUIRED) {
    if (!given.has(name)) return { ok: false, reason: `${label(name)} is missing` }
  }
  for (const [name, value] of given) {
    if (!NAME.test(name)) {
      return { ok: false, reason: `${label('*')}: a name is not lower-case letters and digits only` }
    }
    const problem = problemOf(name, value)
    if (problem !== undefined) {
      return { ok: false, reason: `${label(isStandard(name) ? name : '*')} ${problem}` }
    }
    if (isStandard(name)) standard.set(name, value as string)
    else extensions[name] = value as string | number | boolean
  }
  return {
    ok: true,
    attributes: { ...(Object.fromEntries(standard) as Omit<Attributes, 'extensions'>), extensions },
  }
}

function problemOf(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string') {
    if (isStandard(name)) return 'must be a string'
    const isExtensionValue = typeof value === 'boolean' || Number.isSafeInteger(value)
    return isExtensionValue ? undefined : 'must be a string, a boolean or an integer'
  }
  if (value === '' && isStandard(name)) return 'is empty'
  const bytesMax = BYTES_MAX[name] ?? OTHER_BYTES_MAX
  if (Buffer.byteLength(value) > bytesMax) return `is longer than ${bytesMax} bytes`
  if (!isPlainText(value)) return 'holds control or invalid characters'
  if (name === 'specversion' && value !== '1.0') return 'must be 1.0'
  if (name === 'source' && !URI_REFERENCE.test(value)) return 'is not a URI reference'
  if (name === 'time' && !(RFC3339.test(value) && Number.isFinite(Date.parse(value)))) {
    return 'is not an RFC 3339 time'
  }
  return undefined
}
