import {
  type AuthoritySpec,
  type CredentialSpec,
  type Document,
  definitionOf,
  RekeyError,
} from '@rekey/contracts'
import type { Database, Queryable } from './database.ts'
import { append, type Entry } from './journal.ts'
import { joinRecovery } from './recovery/held.ts'
import { startIn } from './submit.ts'

/** One difference between the documents and what is configured. Documents hold no secrets. */
export type ConfigurationChange = {
  kind: Document['kind']
  name: string
  action: 'create' | 'update' | 'unchanged'
  fields: string[]
  /** Each of `fields` as it was and as it will be. */
  values: { field: string; before: unknown; after: unknown }[]
  /** The rotation that makes the first value of a new credential. */
  rotation?: string
  /** Nothing is done about a new credential before its value in use is adopted. */
  awaitsAdoption?: true
}

/**
 * Compares documents with the ledger, and with `apply` writes them. Nothing is written if anything is wrong: every
 * fault is named at once. Documents that are absent stay as they are: nothing is removed by omission.
 */
export async function configure(
  db: Database,
  documents: Document[],
  options: { apply: boolean; actor: string },
): Promise<ConfigurationChange[]> {
  return db.transaction(async (tx) => {
    await tx.query("select pg_advisory_xact_lock(hashtext('rekey-configuration'))")
    const existing = await readAll(tx)
    const faults = [...duplicates(documents), ...references(documents, existing)]
    const changes = documents.map((document) => compare(document, existing))
    faults.push(...changes.flatMap((change) => frozen(change, existing)))
    if (faults.length > 0) throw new RekeyError('invalid_configuration', faults.join('; '))
    if (!options.apply) return changes
    // Workloads before credentials before rules, because each refers to the one before.
    for (const kind of ['Owner', 'Workload', 'Credential', 'Rule'] as const)
      for (const document of documents.filter((d) => d.kind === kind)) {
        const change = changes.find((c) => c.kind === kind && c.name === document.metadata.name)
        if (change && change.action !== 'unchanged') await write(tx, document, change, options.actor)
      }
    const entries = changes
      .filter((c) => c.action !== 'unchanged')
      .map(
        (c): Entry => ({
          type: 'ConfigurationChanged',
          kind: c.kind,
          name: c.name,
          action: c.action,
          fields: c.fields,
        }),
      )
    await append(tx, 'configuration', options.actor, entries)
    return changes
  })
}

type Existing = Record<Document['kind'], Map<string, Record<string, unknown>>>

async function readAll(tx: Queryable): Promise<Existing> {
  const read = async (table: string) => {
    const { rows } = await tx.query(`select name, spec from ${table}`)
    return new Map(rows.map((row): [string, Record<string, unknown>] => [row.name, row.spec]))
  }
  return {
    Owner: await read('owner'),
    Workload: await read('workload'),
    Credential: await read('credential'),
    Rule: await read('rule'),
  }
}

function duplicates(documents: Document[]): string[] {
  const seen = new Set<string>()
  return documents.flatMap((d) => {
    const id = `${d.kind} ${d.metadata.name}`
    if (seen.has(id)) return [`${id} is given twice`]
    seen.add(id)
    return []
  })
}

function references(documents: Document[], existing: Existing): string[] {
  const known = (kind: Document['kind'], name: string) =>
    existing[kind].has(name) || documents.some((d) => d.kind === kind && d.metadata.name === name)
  return documents.flatMap((d) => {
    const at = `${d.kind} ${d.metadata.name}`
    if (d.kind === 'Credential' && !known('Workload', d.spec.workload))
      return [`${at}: spec.workload names the unknown workload ${d.spec.workload}`]
    if (d.kind !== 'Rule') return []
    const faults = d.spec.rotate
      .filter((name) => !known('Credential', name))
      .map((name) => `${at}: spec.rotate names the unknown credential ${name}`)
    const { workload } = d.spec.when
    if (workload !== undefined && !known('Workload', workload))
      faults.push(`${at}: spec.when.workload names the unknown workload ${workload}`)
    return faults
  })
}

function compare(document: Document, existing: Existing): ConfigurationChange {
  const { kind, metadata, spec } = document
  const before = existing[kind].get(metadata.name)
  if (!before) return { kind, name: metadata.name, action: 'create', fields: [], values: [] }
  const after: Record<string, unknown> = spec
  const values = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((field) => canonical(before[field]) !== canonical(after[field]))
    .map((field) => ({ field: `spec.${field}`, before: before[field], after: after[field] }))
  const fields = values.map((value) => value.field)
  return { kind, name: metadata.name, action: fields.length > 0 ? 'update' : 'unchanged', fields, values }
}

/** jsonb does not keep the order of keys. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, v) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort())
      : v,
  )
}

/** Fields that decide where a live value is: changing them would lose it. */
const FROZEN = {
  Owner: [],
  Workload: ['spec.spiffeId'],
  Credential: ['spec.workload', 'spec.purpose', 'spec.direction', 'spec.stores', 'spec.firstValue'],
  Rule: [],
}

function frozen(change: ConfigurationChange, existing: Existing): string[] {
  if (!existing[change.kind].has(change.name)) return []
  const authority = change.values.find(({ field }) => field === 'spec.authority')
  const moved = authority ? identityOf(authority.before) !== identityOf(authority.after) : false
  const isFrozen = (field: string) =>
    FROZEN[change.kind].some((f) => f === field) || (field === 'spec.authority' && moved)
  return change.fields
    .filter(isFrozen)
    .map(
      (field) => `${change.kind} ${change.name}: ${field} cannot be changed once it exists; make a new one`,
    )
}

/** What an authority is about, its endpoints and timings aside: with another one, live generations would be lost. */
function identityOf(authority: unknown): string | undefined {
  const fields = authority as Pick<AuthoritySpec, 'kind'> & Record<string, unknown>
  const { identity } = definitionOf(fields)
  return canonical([fields.kind, ...identity.map((field) => fields[field])])
}

async function write(
  tx: Queryable,
  document: Document,
  change: ConfigurationChange,
  actor: string,
): Promise<void> {
  const { name } = document.metadata
  const spec = JSON.stringify(document.spec)
  switch (document.kind) {
    case 'Workload': {
      const { environment, artifact, vendor, dataset, zone } = document.spec
      const known = JSON.stringify({ name, environment, artifact, vendor, dataset, zone })
      // What events have told since is newer than the document: only a new workload takes its facts from it.
      await tx.query(
        `insert into workload (name, spec, known) values ($1, $2, $3)
         on conflict (name) do update set spec = excluded.spec`,
        [name, spec, known],
      )
      return
    }
    case 'Credential':
      await writeCredential(tx, name, document.spec, change, actor)
      return
    case 'Owner':
      await tx.query(
        'insert into owner (name, spec) values ($1, $2) on conflict (name) do update set spec = excluded.spec',
        [name, spec],
      )
      return
    case 'Rule':
      await tx.query(
        'insert into rule (name, spec) values ($1, $2) on conflict (name) do update set spec = excluded.spec',
        [name, spec],
      )
      return
    default:
      return document satisfies never
  }
}

async function writeCredential(
  tx: Queryable,
  name: string,
  spec: CredentialSpec,
  change: ConfigurationChange,
  actor: string,
): Promise<void> {
  await tx.query(
    `insert into credential (name, workload, purpose, spec) values ($1, $2, $3, $4)
     on conflict (name) do update set spec = excluded.spec`,
    [name, spec.workload, spec.purpose, JSON.stringify(spec)],
  )
  if (change.action !== 'create') return
  // The workload's lock: a node that is joining now sees this credential, or this statement sees it.
  await tx.query('select from workload where name = $1 for update', [spec.workload])
  await tx.query(
    `insert into placement (node, credential, revision, accept, refuse, floor)
     select name, $1, 0, '{}', '{}', 1 from node where workload = $2 and state <> 'gone'`,
    [name, spec.workload],
  )
  // Its value is in use, and not Rekey's: nothing is done before somebody says that it is to be taken over.
  if (spec.firstValue === 'adopt') {
    change.awaitsAdoption = true
    return
  }
  if (await joinRecovery(tx, name)) return
  const started = await startIn(tx, name, {
    cause: { kind: 'first-value', actor, reason: 'the credential is new' },
    mode: 'rotate',
    goal: 'replace',
    compromised: [],
  })
  change.rotation = started.rotation
}
