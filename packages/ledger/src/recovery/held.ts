import { RekeyError } from '@rekey/contracts'
import type { Asked } from '@rekey/core'
import type { Queryable } from '../database.ts'

/** Placements of this credential are not told: nodes keep what they hold. `$` is the SQL of its name. */
export const heldSql = (name: string) =>
  `exists (select from recovery_item i where i.credential = ${name} and i.released_at is null)`

/**
 * Nothing starts while the ledger is known to be older than the world. A change has its verdict all the same, because
 * its Kafka record must not wait: it is kept, and exactly one rotation follows the release for all that was kept.
 * Returns the id that this rotation will have; undefined: the credential is not held.
 */
export async function keepWhileHeld(
  tx: Queryable,
  { name, last_generation }: { name: string; last_generation: number },
  { cause }: Asked,
): Promise<string | undefined> {
  const { rows } = await tx.query(`select ${heldSql('$1')} as held`, [name])
  if (!rows[0].held) return undefined
  if (cause.kind !== 'change')
    throw new RekeyError(
      'not_allowed_now',
      `${name} is held, because the ledger was restored from a backup: look at \`rekey recover --status\`, then release it`,
    )
  await keep(tx, name, [cause])
  return `${name}-g${last_generation + 1}`
}

export async function keep(tx: Queryable, name: string, causes: Asked['cause'][]): Promise<void> {
  await tx.query(
    'update recovery_item set waiting = waiting || $2::jsonb where credential = $1 and released_at is null',
    [name, JSON.stringify(causes)],
  )
}

/** A credential that is configured while others are held may exist outside, too: it is looked at like them. */
export async function joinRecovery(tx: Queryable, name: string): Promise<boolean> {
  const { rows } = await tx.query(
    `insert into recovery_item (recovery, credential)
     select id, $1 from recovery r
     where asked_at = (select max(asked_at) from recovery)
       and (not exists (select from recovery_item i where i.recovery = r.id)
            or exists (select from recovery_item i where i.recovery = r.id and i.released_at is null))
     returning credential`,
    [name],
  )
  if (!rows[0]) return false
  await tx.query(
    `update credential set last_generation = last_generation + $2, revision = ${jumped('revision')} where name = $1`,
    [name, GENERATIONS],
  )
  await tx.query("select pg_notify('rekey_effects', '')")
  return true
}

/**
 * Past whatever exists: a million further, and never below the time in milliseconds, which no counter of ours catches up
 * with. So a second restore of the same backup goes past the first one, too.
 */
export const jumped = (counter: string) =>
  `greatest(${counter} + 1000000, (extract(epoch from clock_timestamp()) * 1000)::bigint)`

/** A backup that is so many rotations of one credential behind does not exist. */
export const GENERATIONS = 1_000
