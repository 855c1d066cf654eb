import { randomBytes } from 'node:crypto'
import { isSamePerson, RekeyError } from '@rekey/contracts'
import type { Database, Queryable } from './database.ts'
import { append } from './journal.ts'

/** What an order is about, as policies judge it. */
export type OrderResource =
  | { type: 'System' }
  | { type: 'Credential'; id: string; workload: string; environment: string; owner: string }
  | { type: 'Node'; id: string }

export type ApprovalAsked = {
  /** As the journal names who asks. */
  requester: string
  action: string
  resource: OrderResource
  blastRadius: number
  /** Of what is ordered, without who and why. */
  digest: string
  reason: string
  ticket?: string
}

export type ApprovalView = Omit<ApprovalAsked, 'digest' | 'ticket'> & {
  id: string
  ticket: string | null
  state: 'open' | 'approved' | 'used' | 'expired'
  askedAt: string
  expiresAt: string
  approver: string | null
}

/** Somebody who is asked at night answers within minutes, or somebody else is asked. */
const OPEN_MS = 15 * 60_000
/** Nobody reads through more; and whoever asks in a loop must not fill the ledger. */
const OPEN_MAX = 20
/** Then the journal alone knows of it. */
const KEPT_DAYS = 30

/** What the journal says of approvals. */
export type ApprovalEntry =
  | ({ type: 'ApprovalAsked'; approval: string; expiresAt: string; ticket: string | null } & Pick<
      ApprovalAsked,
      'action' | 'resource' | 'blastRadius' | 'reason'
    >)
  | ({ type: 'ApprovalGiven'; approval: string; requester: string; reason: string } & Pick<
      ApprovalAsked,
      'action' | 'resource'
    >)

/** That of the credential, whose owner hears of it; else one of its own. */
const streamOf = (id: string, resource: OrderResource) =>
  resource.type === 'Credential' ? `credential/${resource.id}` : `approval/${id}`

async function journal(tx: Queryable, actor: string, entry: ApprovalEntry): Promise<void> {
  await append(tx, streamOf(entry.approval, entry.resource), actor, [entry])
}

/** Asks for a second person's agreement. The same order of the same requester asks once while that is open. */
export async function askApproval(db: Database, asked: ApprovalAsked): Promise<ApprovalView> {
  const { requester, action, resource, blastRadius, digest, reason, ticket } = asked
  return db.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `approval ${requester} ${digest}`,
    ])
    const { rows: open } = await tx.query(
      `${VIEW} where requester = $1 and digest = $2 and used_at is null and expires_at > now() limit 1`,
      [requester, digest],
    )
    if (open[0]) return view(open[0])
    const { rows: others } = await tx.query(
      'select count(*)::integer as count from approval where requester = $1 and approver is null and expires_at > now()',
      [requester],
    )
    if (others[0].count >= OPEN_MAX)
      throw new RekeyError('not_allowed_now', `${OPEN_MAX} orders of yours wait for approval already`)
    await tx.query(`delete from approval where expires_at < now() - $1 * interval '1 day'`, [KEPT_DAYS])
    const id = `ap-${randomBytes(6).toString('hex')}`
    await tx.query(
      `insert into approval (id, requester, action, resource, blast_radius, digest, reason, ticket, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 millisecond')`,
      [id, requester, action, JSON.stringify(resource), blastRadius, digest, reason, ticket ?? null, OPEN_MS],
    )
    const made = await read(tx, id)
    await journal(tx, requester, {
      type: 'ApprovalAsked',
      approval: id,
      action,
      resource,
      blastRadius,
      reason,
      ticket: ticket ?? null,
      expiresAt: made.expiresAt,
    })
    return made
  })
}

/** A second person agrees. Throws `not_found`, or `not_allowed_now` where it is too late or their own. */
export async function approve(
  db: Database,
  id: string,
  by: { actor: string; reason: string },
): Promise<ApprovalView> {
  return db.transaction(async (tx) => {
    await tx.query('select from approval where id = $1 for update', [id])
    const { state, requester, approver, action, resource } = await read(tx, id)
    if (isSamePerson(by.actor, requester))
      throw new RekeyError('not_allowed_now', `${id} is an order of your own: another person has to agree`)
    // Who sends it again because the answer was lost has agreed already.
    if (state === 'approved' && approver === by.actor) return read(tx, id)
    if (state !== 'open') throw new RekeyError('not_allowed_now', `${id} is ${state}`)
    await tx.query('update approval set approver = $2, approved_at = now() where id = $1', [id, by.actor])
    await journal(tx, by.actor, {
      type: 'ApprovalGiven',
      approval: id,
      requester,
      action,
      resource,
      reason: by.reason,
    })
    return read(tx, id)
  })
}

/** The approval that an order may be carried out under; undefined: nobody agreed, or it was carried out. */
export async function approvalFor(
  db: Database,
  order: { requester: string; digest: string; key: string | undefined },
): Promise<string | undefined> {
  const { rows } = await db.pool.query(
    `select id from approval where requester = $1 and digest = $2 and approver is not null
       and (used_at is null and expires_at > now() or used_key = $3)
     order by used_at nulls first limit 1`,
    [order.requester, order.digest, order.key ?? null],
  )
  return rows[0]?.id
}

/** In the transaction of the order, so that one approval is for one order. */
export async function useApproval(tx: Queryable, id: string, key: string | undefined): Promise<void> {
  const { rowCount } = await tx.query(
    `update approval set used_at = now(), used_key = $2
     where id = $1 and used_at is null and approver is not null and expires_at > now()`,
    [id, key ?? null],
  )
  if (rowCount !== 1)
    throw new RekeyError('not_allowed_now', `${id} was for one order, and was used or is over`)
}

/** Newest first. */
export async function listApprovals(db: Database): Promise<ApprovalView[]> {
  const { rows } = await db.pool.query(`${VIEW} order by asked_at desc limit 200`)
  return rows.map(view)
}

export async function findApproval(
  tx: Pick<Queryable, 'query'>,
  id: string,
): Promise<ApprovalView | undefined> {
  const { rows } = await tx.query(`${VIEW} where id = $1`, [id])
  return rows[0] && view(rows[0])
}

const VIEW = `
  select id, requester, action, resource, blast_radius, reason, ticket, asked_at, expires_at, approver,
         case when used_at is not null then 'used' when expires_at <= now() then 'expired'
              when approver is not null then 'approved' else 'open' end as state
  from approval`

async function read(tx: Queryable, id: string): Promise<ApprovalView> {
  const found = await findApproval(tx, id)
  if (!found) throw new RekeyError('not_found', `there is no approval ${id}`)
  return found
}

// biome-ignore lint/suspicious/noExplicitAny: a row of VIEW
function view({ blast_radius, asked_at, expires_at, ...row }: any): ApprovalView {
  return {
    ...row,
    blastRadius: blast_radius,
    askedAt: asked_at.toISOString(),
    expiresAt: expires_at.toISOString(),
  }
}
