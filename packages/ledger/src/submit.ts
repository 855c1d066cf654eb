import { CredentialSpec, RekeyError } from '@rekey/contracts'
import {
  type Cause,
  type Decision,
  decide,
  type Input,
  type Opening,
  open,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import { clock, type Database, type Queryable } from './database.ts'
import { writeEffects } from './effects.ts'
import { readFacts } from './facts.ts'
import { append, rotationStream } from './journal.ts'
import { project } from './project.ts'

export type CredentialRow = {
  name: string
  workload: string
  spec: CredentialSpec
  current_generation: number | null
  last_generation: number
  revision: number
  open_rotation: string | null
}

/** Locks a credential: nothing about its rotations changes but under this lock. */
export async function lockCredential(tx: Queryable, name: string): Promise<CredentialRow> {
  const { rows } = await tx.query('select * from credential where name = $1 for update', [name])
  if (!rows[0]) throw new RekeyError('not_found', `there is no credential named ${name}`)
  return rows[0]
}

/** The only way to change a rotation: lock, load, decide, append, write effects, all in one transaction. */
export async function submit(db: Database, rotation: string, input: Input, actor: string): Promise<Decision> {
  return db.transaction((tx) => submitIn(tx, rotation, input, actor))
}

export async function submitIn(tx: Queryable, id: string, input: Input, actor: string): Promise<Decision> {
  const { rows: found } = await tx.query('select credential from rotation where id = $1', [id])
  if (!found[0]) throw new RekeyError('not_found', `there is no rotation ${id}`)
  await lockCredential(tx, found[0].credential)
  const { rows } = await tx.query('select state from rotation where id = $1', [id])
  const rotation: Rotation = rows[0].state
  const facts = await readFacts(tx, rotation.credential)
  const decision = decide(rotation, input, facts)
  await store(tx, rotation, decision, actor)
  return decision
}

async function store(tx: Queryable, before: Rotation, decision: Decision, actor: string): Promise<void> {
  const { events, effects, retryFailed } = decision
  if (events.length > 0) {
    const after = await project(tx, before, events)
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
  await append(tx, rotationStream(before.id), actor, events)
  await tx.query("select pg_notify('rekey_effects', '')")
}

/** What made a rotation reach us again while one was under way: exactly one follows, for all of it. */
async function follow(tx: Queryable, rotation: Rotation, events: RotationEvent[]): Promise<void> {
  const [cause] = rotation.followUp
  if (!cause || !events.some((e) => e.type === 'RotationClosed')) return
  const others = rotation.followUp.length - 1
  const reason = others > 0 ? `${cause.reason} (and ${others} later causes)` : cause.reason
  await openIn(tx, await lockCredential(tx, rotation.credential), { ...cause, reason })
}

export type Started = { rotation: string; how: 'opened' | 'joined' | 'queued' }

/** Opens a rotation of a credential, or adds the cause to the one under way. */
export async function startIn(tx: Queryable, credential: string, cause: Cause): Promise<Started> {
  const row = await lockCredential(tx, credential)
  if (row.open_rotation === null) return { rotation: await openIn(tx, row, cause), how: 'opened' }
  const decision = await submitIn(tx, row.open_rotation, { type: 'CauseAdded', cause }, cause.actor)
  const joined = decision.events.some((event) => event.type === 'CauseJoined')
  return { rotation: row.open_rotation, how: joined ? 'joined' : 'queued' }
}

async function openIn(tx: Queryable, row: CredentialRow, cause: Cause): Promise<string> {
  // Read through the schema, so that what an older release wrote has today's defaults.
  const spec = CredentialSpec.parse(row.spec)
  const { rollout, stores } = spec
  const generation = row.last_generation + 1
  const opening: Opening = {
    id: `${row.name}-g${generation}`,
    credential: row.name,
    cause,
    plan: { stores: stores.map((s) => s.name), ...rollout },
    base: row.current_generation,
    generation,
    revision: row.revision,
  }
  const now = await clock(tx)
  const decision = open(opening, now)
  await tx.query('insert into rotation (id, credential, state, spec) values ($1, $2, $3, $4)', [
    opening.id,
    row.name,
    JSON.stringify(decision.rotation),
    JSON.stringify(spec),
  ])
  await tx.query('update credential set last_generation = $2, open_rotation = $3 where name = $1', [
    row.name,
    generation,
    opening.id,
  ])
  await writeEffects(tx, decision.rotation, decision.effects)
  await append(tx, rotationStream(opening.id), cause.actor, decision.events)
  await tx.query("select pg_notify('rekey_effects', '')")
  return opening.id
}
