import type { Mode } from '@rekey/core'
import type { Database } from './database.ts'
import { isOurs } from './format.ts'
import { append, type JournalEntry } from './journal.ts'
import { submit } from './submit.ts'

/** A journal entry with what an auditor needs to know about its subject. */
export type AuditableEntry = JournalEntry & {
  rotation?: { id: string; credential: string; phase?: string; mode?: Mode }
  credential?: { name: string; owner: string; environment: string; workload: string; spiffeId: string }
}

export type AuditRecord = { position: number; sequence: number; key: string; bytes: string; hash: string }

/** Journal entries that have no audit record yet, in order. */
export async function unaudited(db: Database, limit: number): Promise<AuditableEntry[]> {
  const { rows } = await db.pool.query(
    `select j.position, j.stream, j.seq, j.type, j.data, j.actor, j.at, r.id as rotation, r.state ->> 'mode' as mode, c.name as credential,
            w.name as workload, w.spec ->> 'owner' as owner, w.spec ->> 'environment' as environment,
            w.spec ->> 'spiffeId' as spiffe_id
     from journal j
     left join rotation r on j.stream like 'rotation/%' and r.id = substr(j.stream, length('rotation/') + 1)
     left join credential c on c.name = coalesce(
       r.credential, case when j.stream like 'credential/%' then substr(j.stream, length('credential/') + 1) end)
     left join workload w on w.name = c.workload
     where j.position > (select coalesce(max(position), 0) from audit_out)
     order by j.position limit $1`,
    [limit],
  )
  return rows.map((row) => ({
    position: row.position,
    stream: row.stream,
    seq: row.seq,
    type: row.type,
    data: row.data,
    actor: row.actor,
    at: row.at.toISOString(),
    ...(row.rotation === null
      ? {}
      : { rotation: { id: row.rotation, credential: row.credential, mode: row.mode } }),
    ...(row.credential === null
      ? {}
      : {
          credential: {
            name: row.credential,
            owner: row.owner,
            environment: row.environment,
            workload: row.workload,
            spiffeId: row.spiffe_id,
          },
        }),
  }))
}

/** Stores records before they are produced. Fails as a whole if another auditor stored one of them. */
export async function storeRecords(db: Database, records: AuditRecord[]): Promise<void> {
  await db.pool.query(
    `insert into audit_out (position, sequence, key, bytes, hash, awaited)
     select position, sequence, key, bytes, hash,
            (select type from journal j where j.position = r.position) = 'RevocationAnnounced'
     from jsonb_to_recordset($1::jsonb) as r (position bigint, sequence bigint, key text, bytes text, hash text)`,
    [JSON.stringify(records)],
  )
}

export async function unsentRecords(db: Database, limit: number): Promise<AuditRecord[]> {
  const { rows } = await db.pool.query(
    'select position, sequence, key, bytes, hash from audit_out where sent_at is null order by sequence limit $1',
    [limit],
  )
  return rows
}

export async function markSent(db: Database, sequences: number[]): Promise<void> {
  await db.pool.query('update audit_out set sent_at = now() where sequence = any($1)', [sequences])
}

/** Tells rotations that the topic has their announced intents; returns how many. Safe to repeat. */
export async function settleIntents(
  db: Database,
  onFault?: (rotation: string, error: unknown) => void,
): Promise<number> {
  const { rows } = await db.pool.query(
    // First the few that are awaited: the journal is long.
    `with awaiting as materialized (
       select sequence, position from audit_out
       where awaited and settled_at is null and sent_at is not null order by sequence limit 1000)
     select a.sequence, j.data, r.id as rotation
     from awaiting a join journal j on j.position = a.position
     join rotation r on r.id = substr(j.stream, length('rotation/') + 1)
     where j.type = 'RevocationAnnounced' and ${isOurs('$1')} order by a.sequence limit 100`,
    [db.format],
  )
  let settled = 0
  for (const { rotation, data, sequence } of rows) {
    try {
      await submit(
        db,
        rotation,
        { type: 'AuditAcknowledged', generation: data.generation, epoch: data.epoch },
        'auditor',
      )
      await db.pool.query('update audit_out set settled_at = now() where sequence = $1', [sequence])
      settled++
    } catch (error) {
      if (!onFault) throw error
      onFault(rotation, error)
    }
  }
  return settled
}

/** Records that the auditor works: without it, silence and an attack look the same. */
export async function heartbeat(db: Database, intervalMs: number): Promise<void> {
  await db.transaction((tx) => append(tx, 'audit', 'auditor', [{ type: 'AuditHeartbeat', intervalMs }]))
}
