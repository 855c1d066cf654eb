import { evolve, type Rotation, type RotationEvent } from '@rekey/core'
import { cancelContrary, cancelRest, cancelTracks } from './effects.ts'
import { type CredentialRow, placementKey, type Tables } from './tables.ts'

/** Writes what events mean for the inventory, and the rotation's new state. Returns that state. */
export function project(tables: Tables, before: Rotation | undefined, events: RotationEvent[]): Rotation {
  let state = before
  for (const event of events) {
    state = evolve(state, event)
    projectOne(tables, state, event)
  }
  if (!state) throw new Error('a rotation begins with an event')
  tables.rotations.put(state.id, { state, credential: state.credential })
  return state
}

function projectOne(tables: Tables, rotation: Rotation, event: RotationEvent): void {
  const { credential: name } = rotation
  const row = tables.credentials.get(name)
  if (!row) throw new Error(`there is no credential named ${name}`)
  const change = (to: Partial<CredentialRow>) => tables.credentials.put(name, { ...row, ...to })
  switch (event.type) {
    case 'RotationOpened':
    case 'SuccessorPlanned':
      change({ last: Math.max(row.last, event.generation ?? 0) })
      return
    case 'WaveStarted':
      for (const node of event.nodes) {
        const placement = tables.placements.get(placementKey(node, name))
        if (!placement) continue
        const { revision, accept, refuse, floor } = event
        tables.placements.put(placementKey(node, name), { ...placement, revision, accept, refuse, floor })
      }
      change({ revision: event.revision })
      return
    case 'StorePromoted':
    case 'StoreRestored':
    case 'StoreWithdrawn':
      if (event.storeVersion !== null)
        change({ shown: { ...row.shown, [event.store]: event.storeVersion }, movedAt: event.at })
      return
    case 'ConfirmingStarted':
      change({ current: event.generation })
      return
    case 'SuccessorAbandoned':
      change({ current: rotation.base })
      cancelTracks(tables, rotation, [event.generation, ...event.dropped])
      return
    case 'OffboardingCancelled':
      cancelTracks(tables, rotation, [event.generation])
      return
    case 'RevocationStarted':
      cancelContrary(tables, rotation, event.generation)
      return
    case 'GenerationDead':
      change({
        dead: [...row.dead, event.generation],
        ...(row.current === event.generation && { current: null }),
      })
      return
    case 'RotationClosed':
      change({ openRotation: null, isRetired: rotation.goal === 'retire' })
      cancelRest(tables, rotation)
      return
    default:
      return
  }
}
