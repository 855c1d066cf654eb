import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { SCHEMA } from './vocabulary.ts'

export type PolicyFile = { name: string; text: string }

/** One policy of a file. */
export type Policy = { id: string; text: string; file: string; line: number }

/** Reads one file of policies. What is wrong in it is said with its line; nothing of a file that is wrong is used. */
export function readPolicyFile({ name, text }: PolicyFile): { policies: Policy[]; faults: string[] } {
  const parts = cedar.policySetTextToParts(text)
  if (parts.type === 'failure') return { policies: [], faults: parts.errors.map((e) => fault(name, text, e)) }
  const faults = parts.policy_templates.map(
    (template) => `${name}:${lineOf(text, text.indexOf(template))}: templates are not used here`,
  )
  if (faults.length === 0) faults.push(...validate({ name, text }))
  if (faults.length > 0) return { policies: [], faults }
  const policies: Policy[] = []
  for (const [index, { part, at }] of placesOf(text, parts.policies).entries()) {
    const line = lineOf(text, at)
    const id = annotatedId(part) ?? `${name.replace(/\.cedar$/, '')}-${index + 1}`
    if (/^[A-Za-z0-9._-]{1,64}$/.test(id)) policies.push({ id, text: part, file: name, line })
    else faults.push(`${name}:${line}: an @id has letters, digits and . _ - (at most 64)`)
  }
  return { policies, faults }
}

/** A warning counts as a fault: a `forbid` that can never apply is an open door. */
function validate({ name, text }: PolicyFile): string[] {
  const answer = cedar.validate({ schema: SCHEMA, policies: { staticPolicies: text } })
  if (answer.type === 'failure') return answer.errors.map((error) => fault(name, text, error))
  const errors = answer.validationErrors.map(({ error }) => error)
  const warnings = [...answer.validationWarnings.map(({ error }) => error), ...answer.otherWarnings]
  return (errors.length > 0 ? errors : warnings).map((error) => fault(name, text, error))
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

/** Cedar counts bytes, and names policies by their number in the file. */
function fault(name: string, text: string, error: cedar.DetailedError): string {
  const [place] = error.sourceLocations ?? []
  const before = place && Buffer.from(text).subarray(0, place.start).toString()
  const line = before === undefined ? '' : `:${lineOf(before, before.length)}`
  const message = error.message.replace(/^for policy `policy\d+`[,:] /, '')
  return `${name}${line}: ${message}${error.help === null ? '' : ` (${error.help})`}`
}

function lineOf(text: string, index: number): number {
  return text.slice(0, Math.max(0, index)).split('\n').length
}
