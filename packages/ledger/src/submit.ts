import { randomInt } from 'node:crypto'
import { CredentialSpec, definitionOf, RekeyError } from '@rekey/contracts'
import {
  type Asked,
  type Brake,
  type Decision,
  decide,
  type Input,
  open,
  type Plan,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import type { Database, Queryable } from './database.ts'
import { wakeAgain, writeEffects } from './effects.ts'
import { readAround, readFacts } from './facts.ts'
import { readState } from './format.ts'
import { appendLocked, rotationStream } from './journal.ts'
import type { Lane } from './lanes.ts'
import type { Pause } from './pause.ts'
import { project, projectOpened } from './project.ts'
import { keepWhileHeld } from './recovery/held.ts'

export type CredentialRow = {
  name: string
  workload: string
  spec: CredentialSpec
  current_generation: number | null
  last_generation: number
  revision: number
  open_rotation: string | null
  moved_at: Date | null
  retired_at: Date | null
  paused: Pause | null
}

const COLUMNS =
  'name, workload, spec, current_generation, last_generation, revision, open_rotation, moved_at, retired_at, paused'

/** Locks a credential: nothing about its rotations changes but under this lock. */
export async function lockCredential(tx: Queryable, name: string): Promise<CredentialRow> {
  const { rows } = await tx.query(`select ${COLUMNS} from credential where name = $1 for update`, [name])
  if (!rows[0]) throw new RekeyError('not_found', `there is no credential named ${name}`)
  return rows[0]
}

/** Locks the credentials of these nodes' workloads, in an order in which no two wait for each other. Returns their names. */
export async function lockCredentialsOf(tx: Queryable, nodes: string[]): Promise<string[]> {
  const { rows } = await tx.query(
    'select name from credential where workload in (select workload from node where name = any($1)) order by name for update',
    [nodes],
  )
  return rows.map((row) => row.name)
}

async function lockCredentialOf(tx: Queryable, rotation: string): Promise<CredentialRow> {
  const { rows } = await tx.query(
    `select ${COLUMNS} from credential where name = (select credential from rotation where id = $1) for update`,
    [rotation],
  )
  if (!rows[0]) throw new RekeyError('not_found', `there is no rotation ${rotation}`)
  return rows[0]
}

/** The only way to change a rotation: lock, load, decide, append, write effects, all in one transaction. */
export async function submit(db: Database, rotation: string, input: Input, actor: string): Promise<Decision> {
  return db.transaction((tx) => submitIn(tx, rotation, input, actor))
}

/** `locked`: the credential as it is, where this transaction has its lock already and has changed nothing since. */
export async function submitIn(
  tx: Queryable,
  id: string,
  input: Input,
  actor: string,
  locked?: CredentialRow,
): Promise<Decision> {
  const credential = locked ?? (await lockCredentialOf(tx, id))
  const { state, facts } = await readAround(tx, credential, id)
  if (!state) throw new RekeyError('not_found', `there is no rotation ${id}`)
  const rotation = readState(state, tx.format)
  const decision = decide(rotation, input, facts)
  await store(tx, rotation, decision, actor)
  return decision
}

/** A rotation as this release reads it. */
export async function readRotation(tx: Queryable, id: string): Promise<Rotation> {
  const { rows } = await tx.query('select state from rotation where id = $1', [id])
  return readState(rows[0].state, tx.format)
}

async function store(tx: Queryable, before: Rotation, decision: Decision, actor: string): Promise<void> {
  const { events, effects, retryFailed } = decision
  if (events.length === 0 && effects.length === 0 && !retryFailed) return
  let after = before
  if (events.length > 0) {
    after = await project(tx, before, events)
    if (after.mode !== before.mode) await wakeAgain(tx, after.id)
    await writeEffects(tx, after, effects)
    await follow(tx, after, events)
  } else await writeEffects(tx, before, effects)
  if (retryFailed)
    await tx.query(
      `update effect set state = 'pending', due = now(), failures = 0, relayed_at = null,
              lease_until = case when state = 'failed' then null else lease_until end
       where rotation = $1 and kind <> 'timer' and state in ('failed', 'pending') and failures > 0`,
      [before.id],
    )
  await appendLocked(tx, rotationStream(before.id), actor, events, laneOf(after))
}

const laneOf = ({ mode }: Rotation): Lane => (mode === 'rotate' ? 'routine' : 'emergency')

/** What made a rotation reach us again while one was under way: exactly one follows, for all of it. */
async function follow(tx: Queryable, rotation: Rotation, events: RotationEvent[]): Promise<void> {
  if (rotation.followUp.length === 0 || !events.some((e) => e.type === 'RotationClosed')) return
  const row = await lockCredential(tx, rotation.credential)
  // Nothing is made while the value in use waits to be adopted.
  if (await awaitsAdoption(tx, row)) return
  // What was given up before it was ever in use needs no retirement.
  const possible = rotation.followUp.filter((f) => f.goal === 'replace' || row.current_generation !== null)
  const first = possible.find((f) => f.goal === 'retire') ?? possible[0]
  if (!first) return
  // Nothing is left to rotate or to end.
  if (row.retired_at !== null) return
  const others = possible.length - 1
  const { cause, goal } = first
  const reason = others > 0 ? `${cause.reason} (and ${others} later causes)` : cause.reason
  await openIn(tx, row, { cause: { ...cause, reason }, goal, mode: 'rotate', compromised: [] })
}

export type Started = { rotation: string; how: 'opened' | 'joined' | 'queued' }

/** Opens a rotation of a credential, or adds the cause to the one under way. */
export async function startIn(tx: Queryable, credential: string, asked: Asked): Promise<Started> {
  const row = await lockCredential(tx, credential)
  refuseToLockOut(row, asked)
  const kept = await keepWhileHeld(tx, row, asked)
  if (kept !== undefined) return { rotation: kept, how: 'queued' }
  if (row.open_rotation === null) return { rotation: await openIn(tx, row, asked), how: 'opened' }
  const input: Input = { type: 'CauseAdded', ...asked }
  const { events, refusal } = await submitIn(tx, row.open_rotation, input, asked.cause.actor, row)
  if (refusal !== undefined) throw new RekeyError('not_allowed_now', `${row.open_rotation}: ${refusal}`)
  const joined = events.some((event) => event.type === 'CauseJoined')
  return { rotation: row.open_rotation, how: joined ? 'joined' : 'queued' }
}

/** `adopts`: the generation of which no value is made, because the stores hold it. */
export async function openIn(
  tx: Queryable,
  row: CredentialRow,
  asked: Asked,
  adopts?: number,
): Promise<string> {
  const { name, current_generation, last_generation } = row
  refuseImpossible(row, asked)
  if (adopts === undefined && (await awaitsAdoption(tx, row)))
    throw new RekeyError(
      'not_allowed_now',
      `${name}: the value in use is not Rekey's so far; adopt it first (\`rekey adopt ${name}\`)`,
    )
  // Read through the schema, so that what an older release wrote has today's defaults.
  const spec = CredentialSpec.parse(row.spec)
  const id =
    asked.goal === 'replace'
      ? `${name}-g${last_generation + 1}`
      : await offboardingId(tx, name, current_generation)
  const facts = await readFacts(tx, row)
  const paused = row.paused && row.paused.until > facts.now ? holdFor(row.paused) : undefined
  const decision = open(
    {
      id,
      credential: name,
      plan: adopts === undefined ? planOf(spec) : planToAdopt(spec, adopts),
      base: current_generation,
      revision: row.revision,
      movedAt: row.moved_at?.getTime() ?? null,
      // Drawn once: a rotation that starts again after a crash starts at the same time.
      jitterMs: adopts === undefined && spec.rollout.jitterMs > 0 ? randomInt(spec.rollout.jitterMs + 1) : 0,
      alreadyDead: false,
      ...asked,
      ...(paused && { paused }),
    },
    facts,
  )
  await storeOpened(tx, name, spec, decision, asked.cause.actor)
  return id
}

/**
 * Whether its value is still what somebody else put into the stores. One that leaked before it was adopted is not waited
 * for: the next one is Rekey's.
 */
export async function awaitsAdoption(
  tx: Queryable,
  { name, spec, current_generation }: Pick<CredentialRow, 'name' | 'spec' | 'current_generation'>,
): Promise<boolean> {
  if (spec.firstValue !== 'adopt' || current_generation !== null) return false
  const { rows } = await tx.query(
    'select exists (select from generation where credential = $1 and compromised_at is not null) as leaked',
    [name],
  )
  return !rows[0].leaked
}

function holdFor({ by, reason, until }: Pause) {
  return { actor: by, reason, until }
}

/** Writes a rotation that was just opened, with all that it asks for. */
export async function storeOpened(
  tx: Queryable,
  credential: string,
  spec: CredentialSpec,
  { rotation, events, effects }: Decision & { rotation: Rotation },
  actor: string,
): Promise<void> {
  await tx.query('insert into rotation (id, credential, state, spec) values ($1, $2, $3, $4)', [
    rotation.id,
    credential,
    JSON.stringify(rotation),
    JSON.stringify(spec),
  ])
  await tx.query('update credential set open_rotation = $2 where name = $1', [credential, rotation.id])
  await projectOpened(tx, events)
  await writeEffects(tx, rotation, effects)
  await appendLocked(tx, rotationStream(rotation.id), actor, events, laneOf(rotation))
}

/** Rekey never ends the only credential that it works with. An `expedite` has the next one proved before. */
function refuseToLockOut({ name, spec }: CredentialRow, { mode, goal }: Asked): void {
  if (spec.connection === undefined || (mode !== 'contain' && goal !== 'retire')) return
  throw new RekeyError(
    'not_allowed_now',
    `${name}: Rekey works with it, as the connection ${spec.connection}, and would lock itself out; expedite it`,
  )
}

function refuseImpossible({ name, current_generation, retired_at }: CredentialRow, asked: Asked): void {
  const refuse = (why: string) => new RekeyError('not_allowed_now', `${name}: ${why}`)
  if (retired_at !== null)
    throw refuse('it was offboarded; apply a new one under another name and other paths')
  if (asked.goal === 'retire' && current_generation === null) throw refuse('it has no generation to retire')
  const strange = asked.compromised.filter((g) => g !== current_generation)
  if (strange.length > 0)
    throw refuse(`generation ${strange.join(', ')} is not in use; ${current_generation} is`)
}

/** An offboarding makes no generation, and may be called off and asked again. */
async function offboardingId(tx: Queryable, name: string, generation: number | null): Promise<string> {
  const { rows } = await tx.query(
    "select count(*)::int as n from rotation where credential = $1 and id like '%-end' || '%'",
    [name],
  )
  return `${name}-g${generation}-end${rows[0].n > 0 ? rows[0].n + 1 : ''}`
}

/** The configuration as the rotation freezes it. */
export function planOf({ direction, authority, stores, rollout }: CredentialSpec): Plan {
  const { jitterMs: _, brake, atDrainCap, maxInFlight, maxDisruption, ...timings } = rollout
  const { quietMsMin = 0, ...abilities } = definitionOf(authority).abilities(authority)
  return {
    direction,
    ...abilities,
    stores: stores.map((s) => s.name),
    ...timings,
    ...(maxInFlight !== undefined && { maxInFlight }),
    ...(maxDisruption !== undefined && { maxDisruption }),
    ...(brake && { brake: brakeOf(brake) }),
    ...(atDrainCap === 'cut' && { atDrainCap }),
    // A use that is told of late must not come after the window that it counts for.
    quietMs: Math.max(timings.quietMs, quietMsMin),
  }
}

const brakeOf = ({ errors, ...rest }: NonNullable<CredentialSpec['rollout']['brake']>): Brake => ({
  share: Number.parseFloat(errors) / 100,
  ...rest,
})

/** Nothing changes for anybody who uses the value: that waits for no window, and for no other causes. */
function planToAdopt(spec: CredentialSpec, adopts: number): Plan {
  return { ...planOf(spec), windows: [], settleMs: 0, adopts }
}
