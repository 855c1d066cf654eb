import { RekeyError } from '@rekey/contracts'
import type { Database, Queryable } from '../database.ts'

/** A place in the chain and what is there. */
export type ChainHead = { sequence: number; hash: string }

/** The last record of the chain, to go on from: one of ours, or the topic's last one as a recovery found it. */
export async function lastRecord(db: Database): Promise<ChainHead | undefined> {
  const { rows } = await db.pool.query(
    `select sequence, hash from (
       select sequence, hash from audit_out
       union all select audit_sequence, audit_hash from recovery where audit_sequence is not null) as chain
     order by sequence desc limit 1`,
  )
  return rows[0]
}

/**
 * The topic's last record is one of ours, or a recovery waits for the chain's head and the chain goes on from it.
 * `ledger_behind`: it is neither, so an older backup was restored and nobody has said so.
 */
export async function acceptHead(db: Database, head: ChainHead | undefined): Promise<void> {
  await db.transaction(async (tx) => {
    const { rows } = await tx.query('select id from recovery order by asked_at desc limit 1 for update')
    const recovery: string | undefined = rows[0]?.id
    // Known: nothing was recorded after the backup, and the chain goes on from our own last record.
    const isKnown = !head || (await knows(tx, head))
    const isTaken = await settle(tx, recovery, isKnown ? undefined : head)
    if (!isKnown && !isTaken)
      throw new RekeyError(
        'ledger_behind',
        `the audit topic has record ${head.sequence}, which this ledger does not know`,
      )
  })
}

async function knows(tx: Queryable, { sequence, hash }: ChainHead): Promise<boolean> {
  const { rows } = await tx.query(
    `select exists (select from audit_out where sequence = $1 and hash = $2)
         or exists (select from recovery where audit_sequence = $1 and audit_hash = $2) as known`,
    [sequence, hash],
  )
  return rows[0].known
}

async function settle(
  tx: Queryable,
  recovery: string | undefined,
  head: ChainHead | undefined,
): Promise<boolean> {
  if (recovery === undefined) return false
  const { rows } = await tx.query(
    `update recovery set audit_sequence = coalesce($2, (select max(sequence) from audit_out), 0),
            audit_hash = coalesce($3, (select hash from audit_out order by sequence desc limit 1), repeat('0', 64))
     where id = $1 and audit_sequence is null returning id`,
    [recovery, head?.sequence ?? null, head?.hash ?? null],
  )
  if (!rows[0]) return false
  // They were sent after the backup, or their places were taken.
  if (head)
    await tx.query('update audit_out set sent_at = now() where sent_at is null and sequence <= $1', [
      head.sequence,
    ])
  return true
}
