import { RekeyError } from '@rekey/contracts'
import type { Asked, Input } from '@rekey/core'
import { type AdoptionOrder, adopt } from './adoption.ts'
import { useApproval } from './approvals.ts'
import type { Database, Queryable } from './database.ts'
import { type SettlementOrder, type SettlementOrdered, settleDrift } from './drift/settlement.ts'
import { declareGone, excuse } from './nodes.ts'
import { endPause, type PauseOrder, pause } from './pause.ts'
import { type Started, startIn, submitIn } from './submit.ts'

/** What people order. Each refusal is an error, `not_allowed_now`, and leaves no trace. */
export type Orders = {
  /** Opens a rotation, or reaches the one under way. */
  start(credential: string, asked: Asked): Promise<Started>
  /** Takes over the value that the stores hold already. */
  adopt(credential: string, order: AdoptionOrder): Promise<Started>
  /** Ends what somebody changed in a store by hand. */
  settleDrift(credential: string, order: SettlementOrder): Promise<SettlementOrdered>
  /** An order about a rotation that there is. */
  submit(rotation: string, input: Input, actor: string): Promise<void>
  declareGone(node: string, actor: string, reason: string): Promise<void>
  excuse(node: string, about: Parameters<typeof excuse>[2]): Promise<void>
  /** Without a credential: all of them. */
  pause(credential: string | undefined, order: PauseOrder): Promise<{ credentials: string[]; until: string }>
  endPause(
    credential: string | undefined,
    order: Omit<PauseOrder, 'forMs'>,
  ): Promise<{ credentials: string[] }>
}

/**
 * `digest`: of what is ordered, without who and why. The same `key` with another one is refused; without a key each is an
 * order of its own. `approval`: what it is carried out under.
 */
export type OrderKey = { key?: string; digest: string; approval?: string }

/** Whoever repeats an order later than this gives it anew. */
const KEPT_DAYS = 7

/**
 * Carries an order out, at most once for a key: a repeat gets the first answer, also while the first is under way.
 * What was refused was not given, and may be given again. Throws `conflict` where the key stands for another order, and
 * `not_allowed_now` where its approval was used.
 */
export async function giveOrder<Answer>(
  db: Database,
  { key, digest, approval }: OrderKey,
  give: (orders: Orders) => Promise<Answer>,
): Promise<Answer> {
  return db.transaction(async (tx) => {
    const kept = key === undefined ? undefined : await keep(tx, key, digest)
    if (kept) return kept.answer as Answer
    if (approval !== undefined) await useApproval(tx, approval, key)
    // All that an order leads to is one transaction, with the key that it was given under.
    const answer = await give(ordersOf({ ...db, transaction: (work) => work(tx) }, tx))
    if (key !== undefined)
      await tx.query('update order_given set answer = $2 where key = $1', [
        key,
        JSON.stringify(answer ?? null),
      ])
    return answer
  })
}

/** Undefined: it is the first of its key. Waits for a first one that is under way. */
async function keep(tx: Queryable, key: string, digest: string): Promise<{ answer: unknown } | undefined> {
  await tx.query(
    `delete from order_given where key in (
       select key from order_given where given_at < now() - $1 * interval '1 day' for update skip locked)`,
    [KEPT_DAYS],
  )
  const { rowCount } = await tx.query(
    'insert into order_given (key, digest) values ($1, $2) on conflict do nothing',
    [key, digest],
  )
  if (rowCount === 1) return undefined
  const { rows } = await tx.query('select digest, answer from order_given where key = $1', [key])
  if (rows[0]?.digest !== digest)
    throw new RekeyError('conflict', `the key ${key} was given with another order`)
  return { answer: rows[0].answer }
}

function ordersOf(db: Database, tx: Queryable): Orders {
  return {
    start: (credential, asked) => startIn(tx, credential, asked),
    adopt: (credential, order) => adopt(tx, credential, order),
    settleDrift: (credential, order) => settleDrift(tx, credential, order),
    async submit(rotation, input, actor) {
      const { refusal } = await submitIn(tx, rotation, input, actor)
      if (refusal !== undefined) throw new RekeyError('not_allowed_now', `${rotation}: ${refusal}`)
    },
    declareGone: (node, actor, reason) => declareGone(db, node, actor, reason),
    excuse: (node, about) => excuse(db, node, about),
    pause: (credential, order) => pause(tx, credential, order),
    endPause: (credential, order) => endPause(tx, credential, order),
  }
}
