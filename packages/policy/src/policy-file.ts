import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { SCHEMA } from './vocabulary.ts'

export type PolicyFile = { name: string; text: string }

/** One policy of a file. */
export type Policy = { id: string; text: string; file: string; line: number }

type Read = { policies: Policy[]; faults: string[] }

/** Reads files of policies and checks them against the schema. What is wrong is said with file and line. */
export function readPolicyFiles(files: PolicyFile[]): Read {
  const read = files.map(parse)
  const faults = read.flatMap((file) => file.faults)
  // Only what can be read can be judged.
  const wrong = faults.length > 0 ? faults : [...repeatedIds(read), ...validate(files)]
  return { policies: read.flatMap((file) => file.policies), faults: wrong }
}

function parse({ name, text }: PolicyFile): Read {
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure')
    return { policies: [], faults: parts.errors.map((e) => fault(e, placeIn(name, text))) }
  const faults = parts.policy_templates.map(
    (template) => `${name}:${lineOf(text, text.indexOf(template))}: templates are not used here`,
  )
  const policies: Policy[] = []
  for (const [index, { part, at }] of placesOf(text, parts.policies).entries()) {
    const line = lineOf(text, at)
    const id = annotatedId(part) ?? `${name.replace(/\.cedar$/, '')}-${index + 1}`
    if (/^[A-Za-z0-9._-]{1,64}$/.test(id)) policies.push({ id, text: part, file: name, line })
    else faults.push(`${name}:${line}: an @id has letters, digits and . _ - (at most 64)`)
  }
  return { policies, faults }
}

/** Ids are what people see of a decision: each means one policy. */
function repeatedIds(read: Read[]): string[] {
  const first = new Map<string, string>()
  return read
    .flatMap(({ policies }) => policies)
    .flatMap(({ id, file, line }) => {
      const other = first.get(id)
      if (other !== undefined) return [`${file}:${line}: the id ${id} is used at ${other} already`]
      first.set(id, `${file}:${line}`)
      return []
    })
}

/**
 * All files at once: reading the schema costs more than all of them. A warning counts as a fault, because a `forbid` that
 * can never apply is an open door.
 */
function validate(files: PolicyFile[]): string[] {
  const starts: { name: string; text: string; start: number }[] = []
  let length = 0
  for (const { name, text } of files) {
    starts.push({ name, text, start: length })
    length += Buffer.byteLength(text) + 1
  }
  const place = (at: number) => {
    const file = starts.findLast(({ start }) => start <= at)
    return file ? placeIn(file.name, file.text)(at - file.start) : ''
  }
  const staticPolicies = files.map(({ text }) => text).join('\n')
  const answer = cedar.validate({ schema: SCHEMA, policies: { staticPolicies } })
  if (answer.type === 'failure') return answer.errors.map((error) => fault(error, place))
  const errors = answer.validationErrors.map(({ error }) => error)
  const warnings = [...answer.validationWarnings.map(({ error }) => error), ...answer.otherWarnings]
  return (errors.length > 0 ? errors : warnings).map((error) => fault(error, place))
}

/** Cedar gives the policies of a text in no order, each as it stands there; two may be the same. */
function placesOf(text: string, parts: string[]): { part: string; at: number }[] {
  const seen = new Map<string, number>()
  return parts
    .map((part) => {
      const at = text.indexOf(part, (seen.get(part) ?? -1) + 1)
      seen.set(part, at)
      return { part, at }
    })
    .sort((a, b) => a.at - b.at)
}

function annotatedId(policy: string): string | undefined {
  const read = cedar.policyToJson(policy)
  return read.type === 'success' ? read.json.annotations?.id : undefined
}

/** Cedar names policies by their number, which nobody sees. */
function fault(error: cedar.DetailedError, place: (byte: number) => string): string {
  const start = error.sourceLocations?.[0]?.start
  const message = error.message.replace(/^for policy `policy\d+`[,:] /, '')
  const help = error.help === null ? '' : ` (${error.help})`
  return `${start === undefined ? '' : `${place(start)}: `}${message}${help}`
}

/** Cedar counts bytes. */
function placeIn(name: string, text: string): (byte: number) => string {
  return (byte) => {
    const before = Buffer.from(text).subarray(0, byte).toString()
    return `${name}:${lineOf(before, before.length)}`
  }
}

function lineOf(text: string, index: number): number {
  return text.slice(0, Math.max(0, index)).split('\n').length
}
