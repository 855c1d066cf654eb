import {
  type DesiredState,
  type Nack,
  type NodeManifest,
  RekeyError,
  type UsageMessage,
  WATCHED_MAX,
} from '@rekey/contracts'
import { desired, leavesLostBehind, rolloutsOf } from '@rekey/core'
import { append } from './journal.ts'
import { credentialRow, submit } from './submit.ts'
import { type CredentialRow, type PlacementRow, placementKey, type Tables, type Usage } from './tables.ts'

/** What a node shall hold, and which generations are proved dead, the newest first. */
type NodeOrder = DesiredState & { dead: number[] }

/** An acknowledgement after its proofs were checked. */
export type VerifiedAck = {
  node: string
  session: number
  credential: string
  revision: number
  proved: number[]
  refusals: { generation: number; tried: 'accepted' | 'refused' | 'unknown' }[]
}

type UsageReport = UsageMessage['generations'][number]

function credentialsOf(tables: Tables, node: string): CredentialRow[] {
  const workload = tables.nodes.get(node)?.workload
  return [...tables.credentials.all()]
    .filter((row) => row.workload === workload)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function nodesChanged(tables: Tables, credentials: CredentialRow[], actor: string): void {
  for (const { name } of credentials) {
    const { openRotation } = credentialRow(tables, name)
    if (openRotation !== null) submit(tables, openRotation, { type: 'NodesChanged' }, actor)
  }
}

/** Makes a one-use join token for one node of one workload. */
export function createJoinToken(
  tables: Tables,
  { node, workload, ttlMs, actor }: { node: string; workload: string; ttlMs: number; actor: string },
): { token: string; expiresAt: string } {
  return tables.transaction(() => {
    if (!tables.workloads.get(workload))
      throw new RekeyError('not_found', `there is no workload named ${workload}`)
    refuseElsewhere(tables, node, workload)
    const token = `token ${tables.journal.length + 1} of ${node}`
    const expiresAt = tables.clock() + ttlMs
    tables.joinTokens.put(token, { node, workload, expiresAt, isUsed: false })
    append(tables, `node/${node}`, actor, [{ type: 'JoinTokenMade', node, workload }])
    return { token, expiresAt: new Date(expiresAt).toISOString() }
  })
}

function refuseElsewhere(tables: Tables, node: string, workload: string): void {
  const other = tables.nodes.get(node)
  if (other && other.workload !== workload && other.state !== 'gone')
    throw new RekeyError('not_allowed_now', `node ${node} serves ${other.workload}; declare it gone first`)
}

type Joining = { node: string; workload: string; svid?: string }

/** A node enrols, again or for the first time. */
export function redeemJoinToken(tables: Tables, node: string, token: string) {
  return tables.transaction(() => {
    const row = tables.joinTokens.get(token)
    if (!row || row.node !== node || row.isUsed || row.expiresAt <= tables.clock()) return undefined
    tables.joinTokens.put(token, { ...row, isUsed: true })
    return join(tables, { node, workload: row.workload })
  })
}

/** The same with a certificate. To another workload, or back, it comes only where a human made a token for it. */
export function joinByIdentity(tables: Tables, identity: Required<Joining>) {
  const { node, workload } = identity
  return tables.transaction(() => {
    if (!tables.workloads.get(workload))
      throw new RekeyError('not_found', `there is no workload named ${workload}`)
    const before = tables.nodes.get(node)
    if (before && (before.state === 'gone' || before.workload !== workload) && !isInvited(tables, identity))
      throw new RekeyError('not_allowed_now', `make a join token for node ${node}`)
    return join(tables, identity)
  })
}

function isInvited(tables: Tables, { node, workload }: Joining): boolean {
  const open = [...tables.joinTokens.entries()].filter(
    ([, t]) => t.node === node && t.workload === workload && !t.isUsed && t.expiresAt > tables.clock(),
  )
  for (const [token, row] of open) tables.joinTokens.put(token, { ...row, isUsed: true })
  return open.length > 0
}

/** It starts from what nodes shall hold now. */
function join(tables: Tables, { node, workload, svid }: Joining) {
  const before = tables.nodes.get(node)
  tables.nodes.put(node, {
    name: node,
    workload,
    state: 'lost',
    session: (before?.session ?? -1) + 1,
    instance: before?.instance ?? null,
    heardAt: before?.heardAt ?? null,
    labels: before?.labels ?? {},
  })
  const credentials = credentialsOf(tables, node)
  for (const { name, openRotation, current, revision } of credentials) {
    const rotation = openRotation === null ? undefined : tables.rotations.get(openRotation)?.state
    const excusedUntil = tables.placements.get(placementKey(node, name))?.excusedUntil ?? 0
    tables.placements.put(placementKey(node, name), {
      node,
      credential: name,
      revision,
      ...desired(rotation, current),
      provedRevision: 0,
      proved: [],
      usage: [],
      reportedAt: null,
      excusedUntil,
    })
  }
  // Before what it leads to, so that a reader of the journal knows why.
  append(tables, `node/${node}`, `node/${node}`, [
    { type: 'NodeEnrolled', node, workload, ...(svid !== undefined && { svid }) },
  ])
  nodesChanged(tables, credentials, `node/${node}`)
  const places = credentials.map(({ name }) => ({ credential: name, ...PLACE, path: name }))
  return { node, workload, credentials: places }
}

/** Where nodes read: nothing here depends on it. */
const PLACE = { mount: 'secret' }

function nodeRow(tables: Tables, name: string) {
  const row = tables.nodes.get(name)
  if (!row) throw new RekeyError('not_found', `there is no node named ${name}`)
  return row
}

/** Only the platform or a human says that a node is gone. */
export function declareGone(tables: Tables, node: string, actor: string, reason: string): void {
  tables.transaction(() => {
    tables.nodes.put(node, { ...nodeRow(tables, node), state: 'gone' })
    append(tables, `node/${node}`, actor, [{ type: 'NodeGone', node, reason }])
    nodesChanged(tables, credentialsOf(tables, node), actor)
  })
}

/** Nothing waits for this node's proof for a while: somebody answers for it. */
export function excuse(
  tables: Tables,
  node: string,
  about: { credential?: string; actor: string; reason: string; forMs: number },
): void {
  tables.transaction(() => {
    const { actor, reason, forMs, credential } = about
    const until = tables.clock() + forMs
    nodeRow(tables, node)
    const excused = credentialsOf(tables, node).filter(
      ({ name }) => credential === undefined || credential === name,
    )
    for (const { name } of excused) change(tables, node, name, { excusedUntil: until })
    const credentials = excused.map(({ name }) => name)
    append(tables, `node/${node}`, actor, [
      { type: 'NodeExcused', node, credentials, reason, until: new Date(until).toISOString() },
    ])
    nodesChanged(tables, excused, actor)
  })
}

function change(tables: Tables, node: string, credential: string, to: Partial<PlacementRow>): void {
  const row = tables.placements.get(placementKey(node, credential))
  if (row) tables.placements.put(placementKey(node, credential), { ...row, ...to })
}

/** Silence is no proof of anything. */
export function loseSilent(tables: Tables, ms: number): void {
  const since = tables.clock() - ms
  const silent = [...tables.nodes.all()].filter((n) => n.state === 'live' && (n.heardAt ?? 0) < since)
  lose(
    tables,
    silent.map((n) => n.name),
  )
}

export function closeSession(tables: Tables, node: string, session: number): void {
  const row = tables.nodes.get(node)
  if (row?.state === 'live' && row.session === session) lose(tables, [node])
}

/** Only a containment does not wait for who is lost, so it is told. */
function lose(tables: Tables, nodes: string[]): void {
  for (const node of nodes) tables.nodes.put(node, { ...nodeRow(tables, node), state: 'lost' })
  const ids = nodes.flatMap((node) => credentialsOf(tables, node).map((row) => row.openRotation ?? ''))
  for (const id of new Set(ids))
    if (tables.rotations.get(id)?.state.mode === 'contain')
      submit(tables, id, { type: 'NodesChanged' }, 'fleet')
}

/** A new session knows nothing: what an older one proved does not count any more. */
export function openSession(
  tables: Tables,
  { node, instance, labels = {}, adapters = [] }: { node: string; instance: string } & NodeManifest,
) {
  return tables.transaction(() => {
    const row = tables.nodes.get(node)
    if (!row || row.state === 'gone')
      throw new RekeyError('permission_denied', `node ${node} is not enrolled, or was declared gone`)
    const session = row.session + 1
    tables.nodes.put(node, { ...row, session, instance, labels, state: 'live', heardAt: tables.clock() })
    for (const { name } of credentialsOf(tables, node))
      change(tables, node, name, { provedRevision: 0, proved: [], ...declared(adapters, name) })
    // Nobody writes rights in the simulation.
    return { session, desired: desiredStates(tables, [node]).get(node) ?? [], reads: null }
  })
}

export function desiredStates(tables: Tables, nodes: string[]): Map<string, NodeOrder[]> {
  const states = new Map<string, NodeOrder[]>()
  const rows = [...tables.placements.all()].filter((row) => nodes.includes(row.node))
  const order = (row: PlacementRow) => placementKey(row.node, row.credential)
  for (const row of rows.sort((a, b) => (order(a) < order(b) ? -1 : 1))) {
    const { credential, revision, accept, refuse, floor } = row
    const { dead } = credentialRow(tables, credential)
    const state: NodeOrder = {
      credential,
      revision,
      accept: accept.map((generation) => ({ generation, keyId: `${credential}.g${generation}` })),
      refuse,
      floor,
      store: { kind: 'vault-kv', ...PLACE, path: credential },
      dead: dead
        .toSorted((a, b) => b - a)
        .slice(0, WATCHED_MAX)
        .filter((generation) => !accept.includes(generation)),
    }
    states.set(row.node, [...(states.get(row.node) ?? []), state])
  }
  return states
}

/** Acks count for their session and revision only. */
export function recordAcks(tables: Tables, acks: VerifiedAck[]): void {
  const touched = new Map<string, { credential: string; revision: number }>()
  for (const { node, session, credential, revision, proved } of acks) {
    const row = tables.nodes.get(node)
    const placement = tables.placements.get(placementKey(node, credential))
    if (row?.session !== session || row.state === 'gone' || placement?.revision !== revision) continue
    tables.transaction(() => change(tables, node, credential, { provedRevision: revision, proved }))
    touched.set(`${credential} ${revision}`, { credential, revision })
  }
  const inOrder = [...touched.values()].sort((a, b) =>
    a.credential === b.credential ? a.revision - b.revision : a.credential < b.credential ? -1 : 1,
  )
  for (const { credential, revision } of inOrder) waveProved(tables, credential, revision)
}

/** Tells the open rotation once a whole wave has proved: one input for a wave, not one for each node. */
function waveProved(tables: Tables, credential: string, revision: number): void {
  const { openRotation } = credentialRow(tables, credential)
  const rotation = openRotation === null ? undefined : tables.rotations.get(openRotation)?.state
  if (!rotation) return
  for (const rollout of rolloutsOf(rotation)) {
    const wave = rollout.waves[rollout.wave]
    if (!wave || rollout.revision > revision) continue
    const waitsForLost = !leavesLostBehind(rotation, rollout)
    const owes = (node: string) => {
      const state = tables.nodes.get(node)?.state
      const placement = tables.placements.get(placementKey(node, credential))
      if (!placement || state === 'gone' || placement.provedRevision >= rollout.revision) return false
      return (waitsForLost || state !== 'lost') && placement.excusedUntil < tables.clock()
    }
    if (!wave.some(owes))
      submit(tables, rotation.id, { type: 'WaveProved', revision: rollout.revision }, 'fleet')
  }
}

export function recordNacks(tables: Tables, nacks: (Nack & { node: string })[]): void {
  for (const { node, credential, revision, session, generation, reason, detail } of nacks) {
    const { openRotation } = credentialRow(tables, credential)
    const row = tables.nodes.get(node)
    const placement = tables.placements.get(placementKey(node, credential))
    const isPresent = row?.session === session && row.state !== 'gone' && placement?.revision === revision
    if (!isPresent || openRotation === null) continue
    const input = { type: 'NodeNacked', node, revision, generation, reason, detail } as const
    submit(tables, openRotation, input, `node/${node}`)
  }
}

/** Ages become times on the ledger's clock, and a time never goes back. */
export function recordUsage(tables: Tables, reports: (UsageMessage & { node: string })[]): void {
  const now = tables.clock()
  for (const { node, credential, session, generations } of reports) {
    const placement = tables.placements.get(placementKey(node, credential))
    if (!placement || tables.nodes.get(node)?.session !== session) continue
    const usage = generations.map((said): Usage => {
      const known = placement.usage.find((u) => u.generation === said.generation)
      return { ...used(said, known, now), ...answered(said, known, placement.reportedAt, now) }
    })
    tables.transaction(() => change(tables, node, credential, { usage, reportedAt: now }))
  }
}

function used(
  { generation, inFlight, requests, lastUseAgeMs }: UsageReport,
  known: Usage | undefined,
  now: number,
) {
  const before = known?.lastUsedAt ?? null
  const said = lastUseAgeMs === null ? null : Math.round(now - lastUseAgeMs)
  const lastUsedAt = said === null || before === null ? (said ?? before) : Math.max(said, before)
  return { generation, inFlight, requests, lastUsedAt }
}

const RECENT_MS = 30_000

/** What was answered lately: what came since the last report, and what was known then, weighed down by its age. */
function answered(
  { requests, failures }: UsageReport,
  known: Usage | undefined,
  reportedAt: number | null,
  now: number,
): Pick<Usage, 'failures' | 'recent'> {
  if (failures === undefined) return {}
  const kept = reportedAt === null ? 0 : Math.exp(-Math.min(100, (now - reportedAt) / RECENT_MS))
  const isUnknown =
    reportedAt === null ||
    now - reportedAt > 2 * RECENT_MS ||
    (known !== undefined && known.failures === undefined)
  const sum = (before: number | undefined, is: number, was: number | undefined) =>
    Math.round(((before ?? 0) * kept + (isUnknown ? 0 : Math.max(0, is - (was ?? 0)))) * 100) / 100
  const recent = {
    requests: sum(known?.recent?.requests, requests, known?.requests),
    failures: sum(known?.recent?.failures, failures, known?.failures),
  }
  return { failures, recent }
}

function declared(
  adapters: NonNullable<NodeManifest['adapters']>,
  credential: string,
): Pick<PlacementRow, 'cacheMs' | 'longestMs'> {
  const { cacheMs, longestMs } = adapters.find((adapter) => adapter.credential === credential) ?? {}
  return { ...(cacheMs !== undefined && { cacheMs }), ...(longestMs !== undefined && { longestMs }) }
}

/** A node that was taken for lost is heard in its session, so it was not. */
export function heard(tables: Tables, nodes: { node: string; session: number }[]): void {
  for (const { node, session } of nodes) {
    const row = tables.nodes.get(node)
    if (row?.session !== session) continue
    tables.nodes.put(node, {
      ...row,
      heardAt: tables.clock(),
      state: row.state === 'lost' ? 'live' : row.state,
    })
  }
}

/** Which fleet instance each live node is connected to. */
export function instancesOf(tables: Tables, nodes: string[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const name of [...nodes].sort()) {
    const row = tables.nodes.get(name)
    if (row?.state !== 'live' || row.instance === null) continue
    found.set(row.instance, [...(found.get(row.instance) ?? []), name])
  }
  return found
}
