import { RekeyError } from '@rekey/contracts'
import type { Rotation } from '@rekey/core'
import { clock, type Queryable } from '../database.ts'
import { append } from '../journal.ts'
import { heldSql } from '../recovery/held.ts'
import { lockCredential, readRotation, startIn, submitIn } from '../submit.ts'
import { type DriftOrder, type Finding, openFinding } from './finding.ts'

/** `seen`: the version that each store showed to whoever decides this; null: nothing was there. */
export type SettlementOrder = {
  seen: Record<string, string | null>
  actor: string
  reason: string
  ticket?: string
}

/** `rotation`: what replaces what was seen. */
export type SettlementOrdered = { drift: number; rotation: string }

/**
 * Settles what somebody changed in a store by hand, by a rotation: the one under way, or a new one. Its promotions replace what
 * was seen, and nothing that is written after that.
 */
export async function settleDrift(
  tx: Queryable,
  credential: string,
  order: SettlementOrder,
): Promise<SettlementOrdered> {
  const row = await lockCredential(tx, credential)
  const refuse = (why: string) => new RekeyError('not_allowed_now', `${credential}: ${why}`)
  const finding = await openFinding(tx, credential)
  if (!finding)
    throw refuse(
      'nothing is known to have drifted; `rekey drift look` looks whether it has, and then settle it',
    )
  if (await isHeld(tx, credential))
    throw refuse('it is held, because the ledger was restored from a backup: release it first')
  if (row.current_generation !== finding.generation)
    throw refuse(`generation ${row.current_generation} is in use by now; look again`)
  if (!isWhatWasSeen(finding, order.seen))
    throw refuse('its stores show something else than what this is about; look again')
  // It is looked at as soon as the credential is at rest again.
  await tx.query('update drift_look set due = clock_timestamp() where credential = $1', [credential])
  const { actor, reason, ticket } = order
  const underWay = row.open_rotation === null ? undefined : await readRotation(tx, row.open_rotation)
  if (!underWay) {
    const about = `${finding.stores.map((one) => one.store).join(' and ')} had drifted: ${reason}`
    const cause = { kind: 'order', actor, reason: about, ...(ticket !== undefined && { ticket }) } as const
    const { rotation } = await startIn(tx, credential, {
      cause,
      mode: 'rotate',
      goal: 'replace',
      compromised: [],
    })
    return write(tx, credential, finding, order, rotation)
  }
  if (underWay.goal !== 'replace')
    throw refuse(`${underWay.id} ends the credential, and nothing replaces what is there`)
  if (isHeldAtPromotion(underWay, finding)) {
    const input = { type: 'ResumeAsked', actor, reason } as const
    const { refusal } = await submitIn(tx, underWay.id, input, actor, row)
    if (refusal !== undefined) throw refuse(`${underWay.id}: ${refusal}`)
  }
  return write(tx, credential, finding, order, underWay.id)
}

/** Comes last: it takes the journal's counter. */
async function write(
  tx: Queryable,
  credential: string,
  { id, generation }: Finding,
  { actor, reason, ticket: told }: SettlementOrder,
  rotation: string,
): Promise<SettlementOrdered> {
  const ticket = told ?? null
  const at = new Date(await clock(tx)).toISOString()
  const ordered: DriftOrder = { reason, ticket, rotation, by: actor, at }
  await tx.query('update drift set ordered = $2 where id = $1', [id, JSON.stringify(ordered)])
  await append(tx, `credential/${credential}`, actor, [
    { type: 'DriftSettlementOrdered', credential, drift: id, generation, rotation, reason, ticket },
  ])
  return { drift: id, rotation }
}

function isWhatWasSeen({ stores }: Finding, seen: SettlementOrder['seen']): boolean {
  return (
    Object.keys(seen).length === stores.length &&
    stores.every((one) => one.store in seen && seen[one.store] === one.seen)
  )
}

/** And at nothing else: what a human holds stays held, and so does what is about other things. */
function isHeldAtPromotion({ id, holds }: Rotation, { stores }: Finding): boolean {
  const isAtStore = (about: string) => stores.some(({ store }) => about.startsWith(`${id}.promote.${store}-`))
  const others = holds.filter(({ reason }) => reason !== 'overdue')
  return (
    others.length > 0 && others.every(({ reason, about }) => reason === 'effect_failed' && isAtStore(about))
  )
}

async function isHeld(tx: Queryable, credential: string): Promise<boolean> {
  const { rows } = await tx.query(`select ${heldSql('$1')} as held`, [credential])
  return rows[0].held
}
