import { RekeyError } from '@rekey/contracts'
import type { Cause, Rotation, RotationEvent } from '@rekey/core'
import { clock, type Database, type Queryable } from '../database.ts'
import { append, rotationStream } from '../journal.ts'
import { project } from '../project.ts'
import { readRotation } from '../submit.ts'
import { GENERATIONS, jumped } from './held.ts'

/**
 * Says that an older backup was restored. In one transaction every counter goes past whatever may exist outside, the
 * ledger's own open rotations, which are about the past, end with all their effects, and every credential is held until
 * a human has released it. Nothing that could act is left, so nothing has to be kept from acting.
 */
export async function startRecovery(
  db: Database,
  { actor, reason }: { actor: string; reason: string },
): Promise<string> {
  return db.transaction(async (tx) => {
    await keepAuditorsOut(tx)
    // A credential that is being configured now is here, or sees that others are held.
    await tx.query("select pg_advisory_xact_lock(hashtext('rekey-configuration'))")
    const { rows: credentials } = await tx.query('select * from credential order by name for update')
    const id = (await clock(tx)).toString(36)
    await tx.query('insert into recovery (id, asked_by, reason) values ($1, $2, $3)', [id, actor, reason])
    await jumpNodes(tx)
    await tx.query(
      `update credential set last_generation = last_generation + $1, revision = ${jumped('revision')}`,
      [GENERATIONS],
    )
    const { rows: earlier } = await tx.query(
      `update recovery_item set released_at = now(), released_by = $1 where released_at is null
       returning credential, waiting`,
      [`recovery ${id}`],
    )
    const closed: { id: string; waiting: Cause[]; events: RotationEvent[] }[] = []
    for (const { name, current_generation, open_rotation } of credentials) {
      const ended = open_rotation === null ? undefined : await endPast(tx, name, open_rotation)
      if (ended) closed.push(ended)
      const kept: Cause[] = earlier.find((item) => item.credential === name)?.waiting ?? []
      await tx.query(
        `insert into recovery_item (recovery, credential, believed, closed_rotation, waiting)
         values ($1, $2, $3, $4, $5)`,
        [id, name, current_generation, open_rotation, JSON.stringify([...kept, ...(ended?.waiting ?? [])])],
      )
    }
    await tx.query(
      `update placement p set revision = c.revision from credential c where c.name = p.credential`,
    )
    // From here on nobody else can append.
    await jumpPositions(tx)
    for (const rotation of closed) await append(tx, rotationStream(rotation.id), actor, rotation.events)
    const names = credentials.map((c) => c.name)
    const rotations = closed.map((r) => r.id)
    await append(tx, 'recovery', actor, [
      { type: 'RecoveryStarted', recovery: id, reason, credentials: names, rotations },
    ])
    await tx.query("select pg_notify('rekey_effects', '')")
    return id
  })
}

/** Records that are being stored come before this. Maintenance of the table may take long, and nothing else waits behind it. */
async function keepAuditorsOut(tx: Queryable): Promise<void> {
  await tx.query("set local lock_timeout = '5s'")
  try {
    await tx.query('lock table audit_out in share mode')
  } catch (error) {
    if ((error as { code?: string }).code !== '55P03') throw error
    throw new RekeyError(
      'backend_unavailable',
      'the table audit_out is locked by somebody else (VACUUM or ANALYZE, perhaps): try again when that has ended',
    )
  }
  await tx.query('set local lock_timeout to default')
}

/** Who was connected then is not now, and what a node proved then proves nothing. */
async function jumpNodes(tx: Queryable): Promise<void> {
  await tx.query(
    `update node set session = ${jumped('session')}, state = case when state = 'live' then 'lost' else state end`,
  )
  await tx.query(
    `update placement set proved_revision = 0, proved = '{}', refusals = '[]', proved_at = null,
            usage = '[]', reported_at = null, nack = null`,
  )
  // One that was used up after the backup could be used again.
  await tx.query('update join_token set used_at = now() where used_at is null')
}

/** A rotation as it was at the backup: whatever became of it is to be found outside. */
async function endPast(tx: Queryable, credential: string, id: string) {
  const rotation = await readRotation(tx, id)
  const events: RotationEvent[] = [
    { type: 'RotationClosed', outcome: 'cancelled', exceptions: ['ledger_restored'] },
  ]
  await project(tx, rotation, events)
  await tx.query(
    "update effect set state = 'cancelled' where rotation = $1 and state in ('pending', 'failed')",
    [id],
  )
  // An offboarding that is closed so has not offboarded anything.
  await tx.query('update credential set retired_at = null where name = $1', [credential])
  return { id, waiting: notBegun(rotation), events }
}

/** Routine causes that no value was made for. An emergency is a human's to give again. */
function notBegun({ successor, mode, cause, joined, followUp }: Rotation): Cause[] {
  const planned = successor?.step === 'planned' && mode === 'rotate' ? [cause, ...joined] : []
  return [...planned, ...followUp.filter((f) => f.goal === 'replace').map((f) => f.cause)]
}

/**
 * Records on the audit topic are named by their position. Entries that have no record yet move as well, because the
 * ledger that was lost may have given their positions to other entries. Records that an auditor stores meanwhile come
 * before it, or are refused because their entries have moved.
 */
async function jumpPositions(tx: Queryable): Promise<void> {
  const { rows } = await tx.query(
    `update counter set value = ${jumped('value')} where name = 'position'
     returning value, (select coalesce(max(position), 0) from audit_out) as audited`,
  )
  const { value, audited } = rows[0]
  const { rows: moved } = await tx.query(
    `update journal j set position = $2 + unaudited.n
     from (select position, row_number() over (order by position) as n from journal where position > $1) as unaudited
     where j.position = unaudited.position returning j.position`,
    [audited, value],
  )
  await tx.query("update counter set value = value + $1 where name = 'position'", [moved.length])
}
