import { RekeyError } from '@rekey/contracts'
import {
  type Answers,
  type DrainTerm,
  drainTerms,
  type Hold,
  longestRequest,
  phaseOf,
  type Rollout,
  type Rotation,
  unmet,
} from '@rekey/core'
import { DUE_SQL } from './aging.ts'
import type { Database } from './database.ts'
import type { DriftedStore } from './drift/judge.ts'
import { readFacts } from './facts.ts'
import { isNewer, readState, type Stored } from './format.ts'
import { listNotifications, type NotificationView } from './notifications.ts'
import type { Pause } from './pause.ts'

/** A rotation as people see it. */
export type RotationView = {
  id: string
  credential: string
  phase: string
  goal: Rotation['goal']
  mode: Rotation['mode']
  /** Generations that leaked. */
  compromised: number[]
  /** The new one; null: an offboarding makes none. */
  generation: number | null
  base: number | null
  cause: Rotation['cause']
  causes: number
  followUps: number
  /** The oldest open hold; `holds` has them all. */
  hold: Hold | null
  holds: Hold[]
  outcome: string | null
  exceptions: string[]
  openedAt: string
  closedAt: string | null
}

export type NodeView = {
  node: string
  state: 'live' | 'lost' | 'gone'
  revision: number
  accept: number[]
  provedRevision: number
  proved: number[]
  /** What the node saw when it tried refused generations on itself. */
  refusals: { generation: number; tried: string }[]
  nack: { reason: string; detail: string } | null
  usage: {
    generation: number
    inFlight: number
    lastUsedAt: number | null
    requests: number
    /** Absent: the node's software does not count them. */
    failures?: number
    /** About the last half minute; a rotation brakes by it. */
    recent?: Answers
  }[]
  reportedAt: string | null
  labels: Record<string, string>
  /** Of the last session; null: it said nothing of this credential. */
  adapter: { kind: string; disruption: string } | null
}

export type RotationDetail = RotationView & {
  /** What a draining retirement still waits for. */
  waitsFor: string[]
  /** What bounds its drain from below, the longest first: that one dominates. */
  drain: DrainTerm[]
  /** The longest request that a node declares, which a drain waits for if it is under way; null: none does. */
  longestRequest: DrainTerm | null
  /** `watchedUntil`: the wave is proved, and its nodes are watched until then before the next one is told. */
  waves: { purpose: string; wave: number; of: number; nodes: string[]; watchedUntil: number | null }[]
  nodes: NodeView[]
  effects: { key: string; kind: string; state: string; attempt: number; outcome: unknown }[]
  notifications: NotificationView[]
}

export type CredentialView = {
  name: string
  workload: string
  purpose: string
  owner: string
  environment: string
  currentGeneration: number | null
  openRotation: string | null
  /** When it rotates by itself; null: it does not, or it does now. */
  dueAt: string | null
  /** No routine rotation goes on before its end. */
  paused: Pause | null
  /** When it was offboarded. */
  retiredAt: string | null
  nodes: { live: number; lost: number }
  /** What its stores show that Rekey did not write; null: nothing, as far as anybody has looked. */
  drift: { id: number; foundAt: string; stores: DriftedStore[] } | null
  generations: {
    generation: number
    label: string | null
    validity: string
    keyId: string
    /** It leaked. */
    compromised: boolean
    storeVersions: Record<string, string>
    /** Requests with it since it died, as far as its nodes can notice them. */
    knocks: number
  }[]
}

export async function listCredentials(db: Database, name?: string): Promise<CredentialView[]> {
  const { rows } = await db.pool.query(
    `select c.name, c.workload, c.purpose, c.current_generation, c.open_rotation, c.retired_at,
            case when c.open_rotation is null then ${DUE_SQL} end as due_at,
            case when to_timestamp((c.paused ->> 'until')::double precision / 1000) > now() then c.paused end as paused,
            w.spec ->> 'owner' as owner, w.spec ->> 'environment' as environment,
            (select json_build_object('id', d.id, 'foundAt', d.found_at, 'stores', d.stores)
             from drift d where d.credential = c.name and d.settled_at is null) as drift,
            (select coalesce(jsonb_agg(jsonb_build_object('generation', g.generation, 'label', g.label,
               'validity', g.validity, 'keyId', g.key_id, 'compromised', g.compromised_at is not null, 'storeVersions', g.store_versions,
               'knocks', (select coalesce(sum(k.requests), 0)::bigint from knock k where k.credential = c.name and k.generation = g.generation)) order by g.generation), '[]')
             from generation g where g.credential = c.name) as generations,
            (select count(*)::int from node n where n.workload = c.workload and n.state = 'live') as live,
            (select count(*)::int from node n where n.workload = c.workload and n.state = 'lost') as lost
     from credential c join workload w on w.name = c.workload
     ${name === undefined ? '' : 'where c.name = $1'} order by c.name`,
    name === undefined ? [] : [name],
  )
  return rows.map(({ current_generation, open_rotation, retired_at, due_at, live, lost, drift, ...row }) => ({
    ...row,
    drift: drift && { ...drift, foundAt: new Date(drift.foundAt).toISOString() },
    currentGeneration: current_generation,
    openRotation: open_rotation,
    dueAt: due_at?.toISOString() ?? null,
    retiredAt: retired_at?.toISOString() ?? null,
    nodes: { live, lost },
  }))
}

/** The credential that an order is about, as policies judge it; undefined: there is none. */
export async function subjectOf(
  db: Database,
  of: { credential: string } | { rotation: string },
): Promise<Pick<CredentialView, 'name' | 'workload' | 'environment' | 'owner'> | undefined> {
  const by = 'rotation' in of
  const { rows } = await db.pool.query(
    `select c.name, c.workload, w.spec ->> 'environment' as environment, w.spec ->> 'owner' as owner
     from credential c join workload w on w.name = c.workload
     where c.name = ${by ? '(select credential from rotation where id = $1)' : '$1'}`,
    [by ? of.rotation : of.credential],
  )
  return rows[0]
}

export async function listRotations(
  db: Database,
  filter: { credential?: string; limit?: number },
): Promise<RotationView[]> {
  const { rows } = await db.pool.query(
    `select state, opened_at, closed_at from rotation ${filter.credential === undefined ? '' : 'where credential = $2'}
     order by opened_at desc limit $1`,
    [filter.limit ?? 50, ...(filter.credential === undefined ? [] : [filter.credential])],
  )
  return rows.map((row) => view(row, db.format))
}

/** How a rotation ended; outcome null: it has not. Who asks again and again asks for this, and not for all of a large one. */
export async function endOfRotation(
  db: Database,
  id: string,
): Promise<Pick<RotationView, 'outcome' | 'exceptions'>> {
  const { rows } = await db.pool.query(
    'select case when closed_at is not null then state end as state, opened_at, closed_at from rotation where id = $1',
    [id],
  )
  if (!rows[0]) throw new RekeyError('not_found', `there is no rotation ${id}`)
  if (rows[0].state === null) return { outcome: null, exceptions: [] }
  const { outcome, exceptions } = view(rows[0], db.format)
  return { outcome, exceptions }
}

export async function showRotation(db: Database, id: string): Promise<RotationDetail> {
  const { rows } = await db.pool.query('select state, opened_at, closed_at from rotation where id = $1', [id])
  if (!rows[0]) throw new RekeyError('not_found', `there is no rotation ${id}`)
  if (isNewer(rows[0].state, db.format)) return showNewer(db, rows[0])
  const rotation = readState(rows[0].state, db.format)
  const { rows: credentials } = await db.pool.query(
    'select name, last_generation, open_rotation from credential where name = $1',
    [rotation.credential],
  )
  const tracks = [
    ...(rotation.successor
      ? [{ of: rotation.successor.generation, rollout: rotation.successor.rollout }]
      : []),
    ...rotation.retirements.map((r) => ({ of: r.generation, rollout: r.rollout })),
  ]
  const facts = await readFacts(db.pool, credentials[0], { onlyShown: true })
  return {
    ...view(rows[0], db.format),
    waitsFor: unmet(rotation, facts).map((u) => u.message),
    drain: drainTerms(rotation.plan, facts.members),
    longestRequest: longestRequest(facts.members) ?? null,
    waves: tracks.flatMap(({ of, rollout }) => (rollout ? [waveUnderWay(of, rollout)] : [])),
    nodes: await listPlacements(db, rotation.credential),
    effects: await listEffects(db, id),
    notifications: await listNotifications(db, id),
  }
}

function waveUnderWay(of: number, { purpose, waves, wave: next, watchedUntil }: Rollout) {
  const wave = watchedUntil === undefined ? next : next - 1
  return { purpose, wave, of, nodes: waves[wave] ?? [], watchedUntil: watchedUntil ?? null }
}

async function listEffects(db: Database, rotation: string): Promise<RotationDetail['effects']> {
  const { rows } = await db.pool.query(
    'select key, kind, state, attempt, outcome from effect where rotation = $1 order by created_at, key',
    [rotation],
  )
  return rows
}

type Row = { state: Stored; opened_at: Date; closed_at: Date | null }

function view(row: Row, known: number): RotationView {
  if (isNewer(row.state, known)) return viewNewer(row)
  const state = readState(row.state, known)
  return {
    id: state.id,
    credential: state.credential,
    phase: phaseOf(state),
    goal: state.goal,
    mode: state.mode,
    compromised: state.compromised,
    generation: state.successor?.generation ?? null,
    base: state.base,
    cause: state.cause,
    causes: 1 + state.joined.length,
    followUps: state.followUp.length,
    hold: state.holds[0] ?? null,
    holds: state.holds,
    outcome: state.outcome,
    exceptions: state.retirements.flatMap((r) => r.exceptions),
    openedAt: row.opened_at.toISOString(),
    closedAt: row.closed_at?.toISOString() ?? null,
  }
}

/** What a newer release works on: only what every release has told of a rotation. */
function viewNewer({ state, opened_at, closed_at }: Row): RotationView {
  const told: Partial<Rotation> = state as Partial<Rotation>
  return {
    id: told.id ?? '',
    credential: told.credential ?? '',
    phase: 'NewerRelease',
    goal: told.goal ?? 'replace',
    mode: told.mode ?? 'rotate',
    compromised: [],
    generation: null,
    base: told.base ?? null,
    cause: told.cause ?? { kind: 'order', actor: '', reason: '' },
    causes: 1,
    followUps: 0,
    hold: null,
    holds: [],
    outcome: told.outcome ?? null,
    exceptions: [],
    openedAt: opened_at.toISOString(),
    closedAt: closed_at?.toISOString() ?? null,
  }
}

async function showNewer(db: Database, row: Row): Promise<RotationDetail> {
  const shown = viewNewer(row)
  return {
    ...shown,
    waitsFor: ['a newer release of Rekey works on it; ask a newer control'],
    drain: [],
    longestRequest: null,
    waves: [],
    nodes: await listPlacements(db, shown.credential),
    effects: await listEffects(db, shown.id),
    notifications: await listNotifications(db, shown.id),
  }
}

export async function listPlacements(db: Database, credential: string): Promise<NodeView[]> {
  const { rows } = await db.pool.query(
    `select p.node, p.revision, p.accept, p.proved_revision, p.proved, p.refusals, p.usage, p.reported_at, p.nack, p.manifest, n.state, n.labels
     from placement p join node n on n.name = p.node where p.credential = $1 order by p.node`,
    [credential],
  )
  return rows.map((row) => ({
    node: row.node,
    state: row.state,
    revision: row.revision,
    accept: row.accept,
    provedRevision: row.proved_revision,
    proved: row.proved,
    refusals: row.refusals,
    nack: row.nack,
    usage: row.usage,
    reportedAt: row.reported_at?.toISOString() ?? null,
    labels: row.labels,
    adapter: row.manifest && { kind: row.manifest.kind, disruption: row.manifest.disruption },
  }))
}

export async function listNodes(
  db: Database,
): Promise<{ node: string; workload: string; state: string; session: number; heardAt: string | null }[]> {
  const { rows } = await db.pool.query(
    'select name, workload, state, session, heard_at from node order by name',
  )
  return rows.map((row) => ({
    node: row.name,
    workload: row.workload,
    state: row.state,
    session: row.session,
    heardAt: row.heard_at?.toISOString() ?? null,
  }))
}

export async function listRules(db: Database): Promise<{ name: string; spec: unknown }[]> {
  const { rows } = await db.pool.query('select name, spec from rule order by name')
  return rows
}

/** What is known of each workload now, for `rules test`. */
export async function listWorkloads(
  db: Database,
): Promise<{ name: string; spec: unknown; known: unknown }[]> {
  const { rows } = await db.pool.query('select name, spec, known from workload order by name')
  return rows
}

/** Which fleet instance each live node is connected to. */
export async function instancesOf(db: Database, nodes: string[]): Promise<Map<string, string[]>> {
  const { rows } = await db.pool.query(
    "select instance, array_agg(name order by name) as nodes from node where name = any($1) and state = 'live' group by instance",
    [nodes],
  )
  return new Map(rows.map((row) => [row.instance, row.nodes]))
}
