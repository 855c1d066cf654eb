import { evolve, type Rotation, type RotationEvent } from '@rekey/core'
import { cancelContrary, cancelRest, cancelTracks } from './cancel.ts'
import type { Queryable } from './database.ts'

/** Writes what events mean for the inventory, and the rotation's new state. Returns that state. */
export async function project(tx: Queryable, before: Rotation, events: RotationEvent[]): Promise<Rotation> {
  let state = before
  for (const event of events) {
    state = evolve(state, event)
    await projectOne(tx, state, event)
  }
  await tx.query('update rotation set state = $2, closed_at = case when $3 then now() end where id = $1', [
    state.id,
    JSON.stringify(state),
    state.outcome !== null,
  ])
  return state
}

/** The same for a rotation that opens: its row has its state already. */
export async function projectOpened(tx: Queryable, events: RotationEvent[]): Promise<void> {
  let state: Rotation | undefined
  for (const event of events) {
    state = evolve(state, event)
    await projectOne(tx, state, event)
  }
}

async function projectOne(tx: Queryable, rotation: Rotation, event: RotationEvent): Promise<void> {
  const { credential } = rotation
  switch (event.type) {
    case 'RotationOpened':
      if (event.generation !== null) await numbered(tx, credential, event.generation)
      await compromised(tx, credential, event.compromised)
      return
    case 'SuccessorPlanned':
      await numbered(tx, credential, event.generation)
      return
    case 'GenerationsCompromised':
      await compromised(tx, credential, event.generations)
      return
    case 'StagingStarted':
      await tx.query(
        `insert into generation (credential, generation, label, validity, key_id)
         values ($1, $2, 'pending', 'staged', $3) on conflict do nothing`,
        [credential, event.generation, keyId(credential, event.generation)],
      )
      return
    case 'ValueStaged':
      await tx.query(
        'update generation set key_id = $3, proof_key = $4 where credential = $1 and generation = $2',
        [credential, event.generation, event.keyId, event.proofKey],
      )
      return
    case 'ValueInstalled':
      await validity(tx, credential, event.generation, 'active')
      return
    case 'WaveStarted':
      await tx.query(
        `update placement set revision = $3, accept = $4, refuse = $5, floor = $6, nack = null
         where (node, credential) in (
           select node, credential from placement where credential = $1 and node = any($2) order by node for update)`,
        [credential, event.nodes, event.revision, event.accept, event.refuse, event.floor],
      )
      await tx.query('update credential set revision = $2 where name = $1', [credential, event.revision])
      if (event.purpose === 'widen' && rotation.successor)
        await validity(tx, credential, rotation.successor.generation, 'active')
      return
    case 'StorePromoted':
    case 'StoreRestored': {
      const shows = event.type === 'StorePromoted' ? event.generation : rotation.base
      await tx.query(
        `update generation set store_versions = store_versions || jsonb_build_object($3::text, $4::text)
         where credential = $1 and generation = $2`,
        [credential, shows, event.store, event.storeVersion],
      )
      await moved(tx, credential, event.store, event.storeVersion, event.at)
      return
    }
    case 'StoreWithdrawn':
      if (event.storeVersion !== null) await moved(tx, credential, event.store, event.storeVersion, event.at)
      return
    case 'ConfirmingStarted':
      await label(tx, credential, rotation.base, 'previous')
      await label(tx, credential, event.generation, 'current')
      // Where no node was there to be told before, it is from now on that somebody may present it.
      await validity(tx, credential, event.generation, 'active')
      await inUse(tx, credential, event.generation)
      return
    case 'SuccessorAbandoned': {
      const wasAsked = (rotation.successor?.promoteAsked.length ?? 0) > 0
      if (wasAsked) await label(tx, credential, event.generation, 'previous')
      await label(tx, credential, rotation.base, 'current')
      await inUse(tx, credential, rotation.base)
      await cancelTracks(tx, rotation, [event.generation, ...event.dropped])
      return
    }
    case 'OffboardingCancelled':
      await cancelTracks(tx, rotation, [event.generation])
      return
    case 'Suspended':
      await validity(tx, credential, event.generation, 'suspended')
      return
    case 'Reinstated':
      await validity(tx, credential, event.generation, 'active')
      return
    case 'RevocationStarted':
      await cancelContrary(tx, rotation, event.generation)
      return
    case 'ProvingStarted':
      await ended(tx, credential, event.generation, 'revoked')
      return
    case 'GenerationDead':
      await label(tx, credential, event.generation, null)
      await ended(tx, credential, event.generation, 'destroyed')
      await tx.query(
        'update credential set current_generation = null where name = $1 and current_generation = $2',
        [credential, event.generation],
      )
      return
    case 'RotationClosed':
      await tx.query(
        `update credential set open_rotation = null, retired_at = case when $2 then now() end where name = $1`,
        [credential, rotation.goal === 'retire'],
      )
      await cancelRest(tx, rotation)
      return
    default:
      return
  }
}

/** The public id of a generation, until the stores hold it under another one. */
function keyId(credential: string, generation: number): string {
  return `${credential}.g${generation}`
}

async function numbered(tx: Queryable, credential: string, generation: number) {
  await tx.query('update credential set last_generation = greatest(last_generation, $2) where name = $1', [
    credential,
    generation,
  ])
}

async function compromised(tx: Queryable, credential: string, generations: number[]) {
  if (generations.length === 0) return
  await tx.query(
    `update generation set compromised_at = coalesce(compromised_at, now())
     where credential = $1 and generation = any($2)`,
    [credential, generations],
  )
}

async function moved(tx: Queryable, credential: string, store: string, version: string, at: number) {
  await tx.query(
    `update credential set shown = shown || jsonb_build_object($2::text, $3::text),
            moved_at = to_timestamp($4::double precision / 1000) where name = $1`,
    [credential, store, version, at],
  )
}

async function inUse(tx: Queryable, credential: string, generation: number | null) {
  await tx.query('update credential set current_generation = $2 where name = $1', [credential, generation])
}

async function label(tx: Queryable, credential: string, generation: number | null, to: string | null) {
  await tx.query('update generation set label = $3 where credential = $1 and generation = $2', [
    credential,
    generation,
    to,
  ])
}

async function validity(tx: Queryable, credential: string, generation: number, to: string) {
  await tx.query('update generation set validity = $3 where credential = $1 and generation = $2', [
    credential,
    generation,
    to,
  ])
}

async function ended(tx: Queryable, credential: string, generation: number, to: string) {
  await tx.query(
    `update generation set validity = $3, ended_at = coalesce(ended_at, now())
     where credential = $1 and generation = $2`,
    [credential, generation, to],
  )
}
