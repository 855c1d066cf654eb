import type { Rotation } from '@rekey/core'
import type { Queryable } from './database.ts'

/** What is cancelled is not begun any more. A lease that somebody holds on it runs on: see `late acts` in effects.ts. */
const CANCEL = "update effect set state = 'cancelled' where rotation = $1"

/** Effects of tracks that were given up. What an older release wrote names no track: it belonged to the one it had. */
export async function cancelTracks(
  tx: Queryable,
  { id, epoch }: Rotation,
  generations: number[],
): Promise<void> {
  await tx.query(
    `${CANCEL} and epoch < $2 and state in ('pending', 'failed')
       and (not spec ? 'of' or (spec ->> 'of')::int = any($3))`,
    [id, epoch, generations],
  )
}

/** Past the point of no return nothing may make it acceptable again, or show it again. */
export async function cancelContrary(tx: Queryable, { id }: Rotation, generation: number): Promise<void> {
  await tx.query(
    `${CANCEL} and state in ('pending', 'failed')
       and (kind in ('install', 'suspend', 'reinstate') and (spec ->> 'generation')::int = $2
            or kind = 'restore' and (spec ->> 'base')::int = $2)`,
    [id, generation],
  )
}

/** The rotation has ended: only timers and repeats can be left. */
export async function cancelRest(tx: Queryable, { id }: Rotation): Promise<void> {
  await tx.query(`${CANCEL} and state = 'pending'`, [id])
}
