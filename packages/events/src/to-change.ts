import type { Change, Leak } from '@rekey/core'
import type { z } from 'zod'
import type { CloudEvent } from './cloud-event.ts'
import { isObject } from './json.ts'
import { KNOWN_TYPES, type KnownType } from './known-type.ts'

export type ChangeResult = { ok: true; change: Change | Leak } | { ok: false; reason: string }

const TYPE = /^(dev\.cdeventsx?\.[A-Za-z0-9-]{1,64}\.[A-Za-z]{1,64})\.(\d{1,4}\.\d{1,4}\.\d{1,4})$/
const VERSION = /^\d{1,4}\.\d{1,4}\.\d{1,4}$/

/** Whether it is the report of a leak, which asks no rule. */
export function isLeak(change: Change | Leak): change is Leak {
  return change.type === 'credential.leaked'
}

/**
 * What a CDEvent says, in our own words. A reason names the field and repeats no value, but for types and versions,
 * and those only where they look like one.
 */
export function toChange(event: CloudEvent): ChangeResult {
  const { data } = event
  if (!isObject(data)) return no('data: must be a JSON object, a CDEvent')
  if (!isObject(data.context)) return no('data.context: must be an object')
  for (const name of ['id', 'source', 'type'] as const) {
    if (data.context[name] !== event[name]) {
      return no(`data.context.${name} and the CloudEvent's ${name} disagree`)
    }
  }
  if (event.subject !== undefined && isObject(data.subject) && data.subject.id !== event.subject) {
    return no("data.subject.id and the CloudEvent's subject disagree")
  }
  const known = knownType(event.type)
  if (typeof known === 'string') return no(known)
  const wrongSpec = specProblem(known.cdevents, data.context)
  if (wrongSpec !== undefined) return no(wrongSpec)
  const result = known.read(data)
  if (!result.ok) return no(describe(result.error))
  // The schema has seen that it is a time.
  return { ok: true, change: { ...result.change, at: Date.parse(String(data.context.timestamp)) } }
}

function knownType(type: string): KnownType | string {
  const [, name, version] = TYPE.exec(type) ?? []
  if (name === undefined || version === undefined) return 'type: not a CDEvents type with a version'
  const versions = Object.hasOwn(KNOWN_TYPES, name) ? KNOWN_TYPES[name] : undefined
  if (versions === undefined) return `type: ${name} is not a change that Rekey knows`
  const known = Object.hasOwn(versions, version) ? versions[version] : undefined
  return (
    known ??
    `type: version ${version} of ${name} is not supported, only ${Object.keys(versions).join(' and ')}`
  )
}

/** Before the schema, so that an unknown CDEvents version is called that and not "wrong value". */
function specProblem(expected: KnownType['cdevents'], context: Record<string, unknown>): string | undefined {
  const field = expected === '0.5.1' ? 'specversion' : 'version'
  const given = context[field]
  if (given === expected) return undefined
  const other = context[field === 'version' ? 'specversion' : 'version']
  const shown = [given, other].find((value) => typeof value === 'string' && VERSION.test(value))
  return shown === undefined
    ? `data.context.${field}: must be ${expected} for this type`
    : `data.context.${field}: CDEvents ${shown} is not supported with this type, only ${expected}`
}

/** zod's own messages quote unknown keys, and their paths may hold keys of free-form objects; ours do neither. */
function describe(error: z.ZodError): string {
  let [issue] = error.issues
  while (issue?.code === 'invalid_union') {
    const [nested] = issue.errors.toSorted((a, b) => depth(b) - depth(a))
    const inner = nested?.[0]
    if (inner === undefined) break
    issue = { ...inner, path: [...issue.path, ...inner.path] }
  }
  if (issue === undefined) return 'data: does not match its schema'
  const path = ['data', ...issue.path.filter((part) => typeof part === 'string').slice(0, 4)].join('.')
  switch (issue.code) {
    case 'unrecognized_keys':
      return `${path}: holds a field that its schema does not have`
    case 'invalid_type':
      return issue.input === undefined && issue.message.endsWith('received undefined')
        ? `${path} is missing`
        : `${path}: must be a ${issue.expected}`
    case 'too_small':
      return `${path}: is empty`
    case 'too_big':
      return `${path}: is longer than ${issue.maximum}`
    case 'invalid_format':
      return `${path}: is not a valid ${issue.format}`
    case 'custom':
      return `${path}: ${issue.message}`
    default:
      return `${path}: has a value that is not allowed`
  }
}

const depth = (issues: z.core.$ZodIssue[]) => Math.max(0, ...issues.map((issue) => issue.path.length))

function no(reason: string): ChangeResult {
  return { ok: false, reason }
}
