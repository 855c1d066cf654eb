import { RekeyError } from '@rekey/contracts'
import {
  type Asked,
  type Decision,
  decide,
  type Facts,
  type Input,
  type Member,
  open,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import { leasedUntil, retryFailed, wakeAgain, writeEffects } from './effects.ts'
import { append, rotationStream } from './journal.ts'
import { project } from './project.ts'
import type { CredentialRow, Tables } from './tables.ts'

export function credentialRow(tables: Tables, name: string): CredentialRow {
  const row = tables.credentials.get(name)
  if (!row) throw new RekeyError('not_found', `there is no credential named ${name}`)
  return row
}

export function rotationOf(tables: Tables, id: string): Rotation {
  const row = tables.rotations.get(id)
  if (!row) throw new RekeyError('not_found', `there is no rotation ${id}`)
  return row.state
}

/** The only way to change a rotation. */
export function submit(tables: Tables, id: string, input: Input, actor: string): Decision {
  return tables.transaction(() => {
    const rotation = rotationOf(tables, id)
    const decision = decide(rotation, input, readFacts(tables, credentialRow(tables, rotation.credential)))
    store(tables, rotation, decision, actor)
    return decision
  })
}

function store(tables: Tables, before: Rotation, decision: Decision, actor: string): void {
  const { events, effects } = decision
  if (events.length === 0 && effects.length === 0 && !decision.retryFailed) return
  const after = events.length > 0 ? project(tables, before, events) : before
  if (after.mode !== before.mode) wakeAgain(tables, after.id)
  writeEffects(tables, after, effects)
  // A follow-up is opened in the same transaction, and its entries come first, as in PostgreSQL.
  follow(tables, after, events)
  if (decision.retryFailed) retryFailed(tables, before.id)
  append(tables, rotationStream(before.id), actor, events)
  tables.notifyEffects()
}

/** Exactly one rotation follows, for all causes that came too late. */
function follow(tables: Tables, rotation: Rotation, events: RotationEvent[]): void {
  if (rotation.followUp.length === 0 || !events.some((e) => e.type === 'RotationClosed')) return
  const row = credentialRow(tables, rotation.credential)
  // Nothing is left to rotate or to end; what was given up before it was ever in use needs no retirement.
  if (row.isRetired) return
  const possible = rotation.followUp.filter((f) => f.goal === 'replace' || row.current !== null)
  const first = possible.find((f) => f.goal === 'retire') ?? possible[0]
  if (!first) return
  const others = possible.length - 1
  const { cause, goal } = first
  const reason = others > 0 ? `${cause.reason} (and ${others} later causes)` : cause.reason
  openRotation(tables, row, { cause: { ...cause, reason }, goal, mode: 'rotate', compromised: [] })
}

export type Started = { rotation: string; how: 'opened' | 'joined' | 'queued' }

/** `alreadyDead`: the authority ended the base before we could. */
export type Start = Asked & { alreadyDead?: boolean }

/** Opens a rotation of a credential, or adds the cause to the one under way. */
export function start(tables: Tables, credential: string, asked: Start): Started {
  return tables.transaction(() => {
    const row = credentialRow(tables, credential)
    if (row.openRotation === null) return { rotation: openRotation(tables, row, asked), how: 'opened' }
    const { alreadyDead: _, ...cause } = asked
    const input: Input = { type: 'CauseAdded', ...cause }
    const { events, refusal } = submit(tables, row.openRotation, input, asked.cause.actor)
    if (refusal !== undefined) throw new RekeyError('not_allowed_now', `${row.openRotation}: ${refusal}`)
    const joined = events.some((event) => event.type === 'CauseJoined')
    return { rotation: row.openRotation, how: joined ? 'joined' : 'queued' }
  })
}

function openRotation(tables: Tables, row: CredentialRow, asked: Start): string {
  const { name, current, last } = row
  refuseImpossible(row, asked)
  const id = asked.goal === 'replace' ? `${name}-g${last + 1}` : offboardingId(tables, name, current)
  const { plan, jitterMs, revision, movedAt } = row
  const about = { id, credential: name, plan, base: current, revision, movedAt, jitterMs, alreadyDead: false }
  const facts = readFacts(tables, row)
  const { paused: by } = row
  const paused = by && by.until > facts.now ? { actor: by.by, reason: by.reason, until: by.until } : undefined
  const decision = open({ ...about, ...asked, ...(paused && { paused }) }, facts)
  tables.credentials.put(name, { ...row, openRotation: id })
  const rotation = project(tables, undefined, decision.events)
  writeEffects(tables, rotation, decision.effects)
  append(tables, rotationStream(id), asked.cause.actor, decision.events)
  tables.notifyEffects()
  return id
}

function refuseImpossible({ name, current, isRetired }: CredentialRow, asked: Asked): void {
  const refusal = (why: string) => new RekeyError('not_allowed_now', `${name}: ${why}`)
  if (isRetired) throw refusal('it was offboarded; apply it again under another name')
  if (asked.goal === 'retire' && current === null) throw refusal('it has no generation to retire')
  const strange = asked.compromised.filter((g) => g !== current)
  if (strange.length > 0) throw refusal(`generation ${strange.join(', ')} is not in use; ${current} is`)
}

/** An offboarding makes no generation, and may be called off and asked again. */
function offboardingId(tables: Tables, name: string, generation: number | null): string {
  const before = [...tables.rotations.all()].filter(
    ({ credential, state }) => credential === name && state.id.includes('-end'),
  ).length
  return `${name}-g${generation}-end${before > 0 ? before + 1 : ''}`
}

/** The world around a credential as the ledger knows it. */
export function readFacts(tables: Tables, row: CredentialRow): Facts {
  const now = tables.clock()
  return {
    now,
    members: members(tables, row.name, now),
    nextGeneration: row.last + 1,
    leasedUntil: leasedUntil(tables, row.openRotation),
  }
}

function members(tables: Tables, credential: string, now: number): Member[] {
  const found: Member[] = []
  for (const placement of tables.placements.all()) {
    if (placement.credential !== credential) continue
    const node = tables.nodes.get(placement.node)
    if (!node || node.state === 'gone') continue
    found.push({
      node: placement.node,
      excused: placement.excusedUntil > now,
      lost: node.state === 'lost',
      provedRevision: placement.provedRevision,
      accepts: placement.proved,
      reportedAt: placement.reportedAt,
      usage: placement.usage,
      labels: node.labels,
      ...(placement.cacheMs !== undefined && { cacheMs: placement.cacheMs }),
      ...(placement.longestMs !== undefined && { longestMs: placement.longestMs }),
    })
  }
  return found.sort((a, b) => (a.node < b.node ? -1 : 1))
}
