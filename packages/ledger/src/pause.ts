import { RekeyError } from '@rekey/contracts'
import { clock, type Queryable } from './database.ts'
import { append } from './journal.ts'
import { lockCredential, readRotation, submitIn } from './submit.ts'

/** Why routine rotations of a credential wait, and until when. */
export type Pause = {
  /** Milliseconds since the epoch, on the ledger's clock. */
  until: number
  by: string
  reason: string
}

export type PauseOrder = { actor: string; reason: string; forMs: number }

/**
 * No routine rotation of these credentials goes on for a while: what is under way is held where it is, what opens is
 * held at its start. Both go on by themselves when the time is over. Emergencies ask nobody. Said again, the later word
 * counts. Without a name: all credentials.
 */
export async function pause(
  tx: Queryable,
  credential: string | undefined,
  { actor, reason, forMs }: PauseOrder,
): Promise<{ credentials: string[]; until: string }> {
  const credentials = await named(tx, credential)
  const until = (await clock(tx)) + forMs
  for (const name of credentials) {
    const { open_rotation } = await lockCredential(tx, name)
    const paused: Pause = { until, by: actor, reason }
    await tx.query('update credential set paused = $2 where name = $1', [name, JSON.stringify(paused)])
    // One that a human holds without an end is left held; an emergency goes on.
    if (open_rotation !== null)
      await submitIn(tx, open_rotation, { type: 'HoldAsked', actor, reason, until }, actor)
  }
  const said = { credentials, until: new Date(until).toISOString() }
  await append(tx, 'pause', actor, [{ type: 'Paused', ...said, reason }])
  return said
}

/** Routine rotations go on before the time is over. What a human holds without an end stays held. */
export async function endPause(
  tx: Queryable,
  credential: string | undefined,
  { actor, reason }: Omit<PauseOrder, 'forMs'>,
): Promise<{ credentials: string[] }> {
  const credentials = await named(tx, credential)
  for (const name of credentials) {
    const { open_rotation } = await lockCredential(tx, name)
    await tx.query('update credential set paused = null where name = $1', [name])
    if (open_rotation === null) continue
    const { holds } = await readRotation(tx, open_rotation)
    if (holds.some((hold) => hold.reason === 'human' && hold.until !== undefined))
      await submitIn(tx, open_rotation, { type: 'ResumeAsked', actor, reason }, actor)
  }
  await append(tx, 'pause', actor, [{ type: 'PauseEnded', credentials, reason }])
  return { credentials }
}

/** In the order of their names, so that two orders cannot wait for each other. */
async function named(tx: Queryable, credential: string | undefined): Promise<string[]> {
  const { rows } = await tx.query(
    'select name from credential where retired_at is null and ($1::text is null or name = $1) order by name',
    [credential ?? null],
  )
  if (rows.length === 0 && credential !== undefined)
    throw new RekeyError('not_found', `there is no credential named ${credential} that is in use`)
  return rows.map((row) => row.name)
}
