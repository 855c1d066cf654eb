import { createHash } from 'node:crypto'
import type { OrderKey } from '@rekey/ledger'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ActorHeader, type Order } from './route.ts'

/** `idempotency-key`: the same order may be sent again and again, and is carried out once; kept for seven days. */
export const OrderHeaders = ActorHeader.extend({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'up to 128 visible ASCII characters, without spaces')
    .optional()
    .describe('A repeat under the same key gets the first answer, and nothing is done again'),
})

type Request = Pick<FastifyRequest, 'headers' | 'routeOptions' | 'params' | 'body' | 'approval'>

/** What an order is known by. The digest covers what is ordered: who repeats it may be somebody else, in other words. */
export function orderKey({ headers, routeOptions, params, body, approval }: Request): OrderKey {
  const key = headers['idempotency-key']
  const { reason: _, ticket: __, ...what } = body as z.infer<typeof Order>
  const ordered = JSON.stringify([routeOptions.url, params, what])
  const digest = createHash('sha256').update(ordered).digest('hex')
  return { digest, ...(typeof key === 'string' && { key }), ...(approval !== undefined && { approval }) }
}

/** For records that hold one text. */
export function worded({ reason, ticket }: z.infer<typeof Order>): string {
  return ticket === undefined ? reason : `${reason} (ticket ${ticket})`
}
