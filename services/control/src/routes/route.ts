import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fingerprints } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Bell } from '../bell.ts'
import { ControlProblem, Problem } from '../problem.ts'

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export type Shared = {
  ledger: Ledger
  bell: Bell
  heartbeatMs: number
  fingerprints: Fingerprints | undefined
}

export const SECURED = [{ token: [] }]

/** The answer of a route, and the shape of every error. */
export function answers<S extends z.ZodType>(schema: S) {
  return { 200: schema, default: Problem }
}

/** Text of people, without what could end a line or steer a terminal. */
const plainText = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not hold control characters')

/** For whoever has the shared token. A token of the issuer and a certificate say who they are, and this is ignored. */
export const ActorHeader = z.object({
  'x-rekey-actor': z
    .string()
    .optional()
    .describe('Who gives the order, with the shared token: letters, digits and . _ @ - (at most 64)'),
})

/** As the journal names who gives an order. */
export function actorOf({ actor }: Caller): string {
  if (actor === undefined)
    throw new ControlProblem('malformed_request', 'headers.x-rekey-actor: is missing: who gives this order?')
  return actor
}

export const Order = z.strictObject({
  reason: plainText(500),
  ticket: plainText(100).optional().describe('Where people speak about it, such as INC-4711'),
})

export const RotationId = z.string().regex(/^[a-z0-9-]{1,80}$/, 'an id such as chat-gateway-key-g2')

/** A whole number in a query. */
export const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
