import { createHash } from 'node:crypto'
import type { OrderKey } from '@rekey/ledger'
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

type Request = {
  headers: z.infer<typeof OrderHeaders>
  routeOptions: { url?: string | undefined }
  params: unknown
  body: z.infer<typeof Order>
}

/** The key covers what is ordered. Who repeats it may be somebody else, and say why in other words. */
export function orderKey({ headers, routeOptions, params, body }: Request): OrderKey | undefined {
  const key = headers['idempotency-key']
  if (key === undefined) return undefined
  const { reason: _, ticket: __, ...what } = body
  const ordered = JSON.stringify([routeOptions.url, params, what])
  return { key, digest: createHash('sha256').update(ordered).digest('hex') }
}

/** For records that hold one text. */
export function worded({ reason, ticket }: z.infer<typeof Order>): string {
  return ticket === undefined ? reason : `${reason} (ticket ${ticket})`
}
