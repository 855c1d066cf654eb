import { RekeyError } from '@rekey/contracts'
import type { Asked } from '@rekey/core'
import type { Database, Queryable } from './database.ts'
import type { Leased } from './effects.ts'
import { append } from './journal.ts'
import { keepWhileHeld } from './recovery/held.ts'
import { awaitsAdoption, lockCredential, openIn, type Started } from './submit.ts'

export type AdoptionOrder = { actor: string; reason: string; ticket?: string }

/**
 * Takes over the value that the stores hold already, as the next generation: the way of a first value, but that none is
 * made, and what readers get stays the same.
 */
export async function adopt(tx: Queryable, credential: string, order: AdoptionOrder): Promise<Started> {
  const row = await lockCredential(tx, credential)
  const refuse = (why: string) => new RekeyError('not_allowed_now', `${credential}: ${why}`)
  if (row.open_rotation !== null)
    throw refuse(`${row.open_rotation} is under way; resume it if it is held, or roll it back first`)
  if (row.current_generation !== null) throw refuse(`generation ${row.current_generation} is in use already`)
  if (row.spec.firstValue !== 'adopt')
    throw refuse('its document does not say `firstValue: adopt`, so Rekey makes its values')
  if (row.retired_at === null && !(await awaitsAdoption(tx, row)))
    throw refuse('its value leaked before it was adopted; rotate it, so that a new one is made')
  const { actor, reason, ticket } = order
  const cause: Asked['cause'] = {
    kind: 'first-value',
    actor,
    reason: `the value in use is adopted: ${reason}`,
    ...(ticket !== undefined && { ticket }),
  }
  const asked: Asked = { cause, mode: 'rotate', goal: 'replace', compromised: [] }
  await keepWhileHeld(tx, row, asked)
  const generation = row.last_generation + 1
  const rotation = await openIn(tx, row, asked, generation)
  await append(tx, `credential/${credential}`, actor, [
    { type: 'AdoptionOrdered', credential, generation, rotation, reason, ticket: ticket ?? null },
  ])
  return { rotation, how: 'opened' }
}

/**
 * Keeps which version of each store readers get by somebody else's hand: that is what a promotion replaces, and nothing
 * else. Throws `not_allowed_now` where the attempt is over.
 */
export async function recordLive(
  db: Database,
  { effect, attempt, rotation }: Pick<Leased, 'effect' | 'attempt' | 'rotation'>,
  storeVersions: Record<string, string>,
): Promise<void> {
  const { rowCount } = await db.pool.query(
    `update credential set shown = shown || $4::jsonb
     where name = $3 and exists (
       select from effect where key = $1 and attempt = $2 and state = 'pending' and lease_until > clock_timestamp())`,
    [effect.key, attempt, rotation.credential, JSON.stringify(storeVersions)],
  )
  if (rowCount !== 1) throw new RekeyError('not_allowed_now', `attempt ${attempt} of ${effect.key} is over`)
}
