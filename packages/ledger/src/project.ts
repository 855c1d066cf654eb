import { evolve, type Rotation, type RotationEvent } from '@rekey/core'
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

async function projectOne(tx: Queryable, rotation: Rotation, event: RotationEvent): Promise<void> {
  const { credential } = rotation
  switch (event.type) {
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
    case 'WaveStarted':
      await tx.query(
        `update placement set revision = $3, accept = $4, refuse = $5, floor = $6, nack = null
         where credential = $1 and node = any($2)`,
        [credential, event.nodes, event.revision, event.accept, event.refuse, event.floor],
      )
      await tx.query('update credential set revision = $2 where name = $1', [credential, event.revision])
      if (event.purpose === 'widen')
        await tx.query(
          "update generation set validity = 'active' where credential = $1 and generation = $2",
          [credential, rotation.successor.generation],
        )
      return
    case 'StorePromoted':
    case 'StoreRestored': {
      const shown = event.type === 'StorePromoted' ? event.generation : rotation.base
      await tx.query(
        `update generation set store_versions = store_versions || jsonb_build_object($3::text, $4::text)
         where credential = $1 and generation = $2`,
        [credential, shown, event.store, event.storeVersion],
      )
      return
    }
    case 'ConfirmingStarted':
      await label(tx, credential, rotation.base, 'previous')
      await label(tx, credential, event.generation, 'current')
      // Where no node was there to be told before, it is from now on that somebody may present it.
      await tx.query("update generation set validity = 'active' where credential = $1 and generation = $2", [
        credential,
        event.generation,
      ])
      await tx.query('update credential set current_generation = $2 where name = $1', [
        credential,
        event.generation,
      ])
      return
    case 'SuccessorAbandoned':
      if (rotation.successor.promoteAsked.length > 0)
        await label(tx, credential, event.generation, 'previous')
      await label(tx, credential, rotation.base, 'current')
      await tx.query('update credential set current_generation = $2 where name = $1', [
        credential,
        rotation.base,
      ])
      await tx.query(
        "update effect set state = 'cancelled' where rotation = $1 and epoch < $2 and state in ('pending', 'failed')",
        [rotation.id, rotation.epoch],
      )
      return
    case 'ProvingStarted':
      await validity(tx, credential, event.generation, 'revoked')
      return
    case 'GenerationDead':
      await label(tx, credential, event.generation, null)
      await validity(tx, credential, event.generation, 'destroyed')
      return
    case 'RotationClosed':
      await tx.query('update credential set open_rotation = null where name = $1', [credential])
      await tx.query("update effect set state = 'cancelled' where rotation = $1 and state = 'pending'", [
        rotation.id,
      ])
      return
    default:
      return
  }
}

/** The public id of a generation: what gateways count by and logs show. */
export function keyId(credential: string, generation: number): string {
  return `${credential}.g${generation}`
}

async function label(tx: Queryable, credential: string, generation: number | null, to: string | null) {
  await tx.query('update generation set label = $3 where credential = $1 and generation = $2', [
    credential,
    generation,
    to,
  ])
}

async function validity(tx: Queryable, credential: string, generation: number, to: string) {
  await tx.query(
    `update generation set validity = $3, ended_at = coalesce(ended_at, now())
     where credential = $1 and generation = $2`,
    [credential, generation, to],
  )
}
