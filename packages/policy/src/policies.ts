import { createHash } from 'node:crypto'
import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { RekeyError } from '@rekey/contracts'
import { type EntityFile, readEntities } from './entities.ts'
import { type PolicyFile, readPolicyFiles } from './policy-file.ts'
import {
  type Action,
  nameOf,
  type Principal,
  type Resource,
  SCHEMA,
  SYSTEM_ID,
  type Weight,
} from './vocabulary.ts'

export type Question = {
  principal: Principal
  action: Action
  resource: Resource
  /** What the action asks for beside it: an order its weight, `approve` whose order it is. */
  context?: Weight | Consent
}

export type Consent = { requester: string; approver: string; samePerson: boolean }

export type Decision = {
  allowed: boolean
  /** Ids of the policies that decided. None, and not allowed: no policy permits it. */
  policies: string[]
  /** What went wrong in evaluating them. Then the answer is no, whatever they say otherwise. */
  errors: string[]
  /** Of the policies, entities and schema that decided. */
  digest: string
}

export type Policies = {
  digest: string
  /** Every policy's id, sorted. */
  ids: string[]
  authorize(question: Question): Decision
}

/** What a folder of policies holds. */
export type PolicySource = { files: PolicyFile[]; entities?: EntityFile }

/**
 * Checks policies and entities against the schema, and makes them ready to be asked. Everything that is wrong is named at
 * once, with its file and line: policies that are half right are not used.
 */
export function loadPolicies({ files, entities }: PolicySource): Policies {
  const { policies, faults } = readPolicyFiles(files.toSorted(byName))
  const known = readEntities(entities)
  faults.push(...known.faults)
  if (faults.length > 0) throw new RekeyError('invalid_configuration', faults.join('; '))
  if (policies.length === 0)
    throw new RekeyError('invalid_configuration', 'there is no policy: nobody may do anything')

  const digest = digestOf({ files, ...(entities && { entities }) })
  const parsed = [
    cedar.preparseSchema(digest, SCHEMA),
    cedar.preparsePolicySet(digest, {
      staticPolicies: Object.fromEntries(policies.map(({ id, text }) => [id, text])),
    }),
  ]
  for (const answer of parsed)
    if (answer.type === 'failure')
      throw new RekeyError('invalid_configuration', answer.errors.map(({ message }) => message).join('; '))

  return {
    digest,
    ids: policies.map(({ id }) => id).toSorted(),
    authorize(question) {
      try {
        return { ...ask(question, known.entities, digest), digest }
      } catch {
        return { allowed: false, policies: [], errors: ['the policies could not be asked'], digest }
      }
    },
  }
}

/** Cedar leaves out a policy that fails, be it a `forbid`. Here one failure is a no. */
function ask(question: Question, known: cedar.EntityJson[], digest: string): Omit<Decision, 'digest'> {
  const { principal, action, resource, context = {} } = question
  const answer = cedar.statefulIsAuthorized({
    principal: { type: principal.type, id: principal.id },
    action: { type: 'Action', id: action },
    resource: uidOf(resource),
    context,
    entities: entitiesOf(question, known),
    preparsedSchemaName: digest,
    preparsedPolicySetId: digest,
    validateRequest: true,
  })
  if (answer.type === 'failure')
    return { allowed: false, policies: [], errors: answer.errors.map(({ message }) => message) }
  const { decision, diagnostics } = answer.response
  if (diagnostics.errors.length > 0) {
    const policies = diagnostics.errors.map(({ policyId }) => policyId).toSorted()
    return { allowed: false, policies, errors: diagnostics.errors.map(({ error }) => error.message) }
  }
  return { allowed: decision === 'allow', policies: diagnostics.reason.toSorted(), errors: [] }
}

/** What is configured, with who asks and what about put in. */
function entitiesOf({ principal, resource }: Question, known: cedar.EntityJson[]): cedar.EntityJson[] {
  const { type, id, groups = [] } = principal
  const isPrincipal = (uid: cedar.EntityUidJson) => nameOf(plainUid(uid)) === nameOf({ type, id })
  const configured = known.filter(({ uid }) => isPrincipal(uid)).flatMap(({ parents }) => parents)
  const own = [
    ...groups.map((group) => ({ type: 'Group', id: group })),
    ...(type === 'Operator' ? [{ type: 'Role', id: 'bootstrap' }] : []),
  ]
  const { type: _type, ...attributes } = resource
  const { id: _id, ...attrs } = { id: '', ...attributes }
  return [
    ...known.filter(({ uid }) => !isPrincipal(uid)),
    { uid: { type, id }, attrs: {}, parents: [...configured, ...own] },
    { uid: uidOf(resource), attrs, parents: [] },
  ]
}

function uidOf(resource: Resource): cedar.TypeAndId {
  return { type: resource.type, id: resource.type === 'System' ? SYSTEM_ID : resource.id }
}

const plainUid = (uid: cedar.EntityUidJson): cedar.TypeAndId => ('__entity' in uid ? uid.__entity : uid)

/** Names count, because they are in the faults and ids that people see. */
function digestOf({ files, entities }: PolicySource): string {
  const hash = createHash('sha256')
  const parts = [{ name: 'schema', text: SCHEMA }, ...files.toSorted(byName), ...(entities ? [entities] : [])]
  for (const { name, text } of parts) hash.update(JSON.stringify([name, text]))
  return `sha-256:${hash.digest('hex')}`
}

function byName(a: PolicyFile, b: PolicyFile): number {
  return a.name < b.name ? -1 : 1
}
