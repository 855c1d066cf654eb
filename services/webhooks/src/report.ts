import { z } from 'zod'
import { AlertRef } from './source.ts'

/** A leak that somebody reported, on its way to Kafka. It is kept on disk until it is there, and holds no value. */
export const Report = z.strictObject({
  emitter: z.string(),
  leak: z.strictObject({
    type: z.literal('credential.leaked'),
    credential: z.string(),
    where: z.string(),
    generation: z.number().int().exactOptional(),
    fingerprint: z.string().exactOptional(),
    at: z.number().exactOptional(),
  }),
  isNamed: z.boolean(),
  origin: z.strictObject({ source: z.string(), name: z.string(), at: z.coerce.date() }),
  alert: AlertRef.optional(),
})
export type Report = z.infer<typeof Report>
