import type { Change, Leak } from '@rekey/core'
import { z } from 'zod'
import { Refusal } from './problem.ts'

/** How a source shows that a delivery is its own. `header`: where the HMAC-SHA256 of the raw body stands, as `sha256=…`. */
export type Proof = { by: 'hmac'; header: string } | { by: 'bearer' }

/** One request, after its proof was checked. Names of headers in lower case. */
export type Delivery = { header(name: string): string | undefined; body: unknown; receivedAt: Date }

/** What an event is known by: the same delivery must give the same, however often and under whichever id it comes. */
export type Origin = {
  /** The CloudEvent's `source`. */
  source: string
  /** The readable part of its id. */
  name: string
  at: Date
}

/** An alert of GitHub's secret scanning, whose value can be asked for. Each part was checked: they become a path. */
export const AlertRef = z.strictObject({
  owner: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  repository: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/),
  number: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
})
export type AlertRef = z.infer<typeof AlertRef>

export type Heard =
  | { kind: 'ignored'; why: string }
  | { kind: 'change'; change: Change; origin: Origin }
  /** `isNamed`: configuration says which credential it is about. */
  | { kind: 'leak'; leak: Leak; isNamed: boolean; origin: Origin; alert?: AlertRef }

/** A kind of sender. It only translates: what it hears is decided on by intake. */
export type Source = {
  /** The path that it posts to, its section in the configuration, and the emitter where that names no other. */
  name: string
  proof: Proof
  section: z.ZodType<Section>
  hear(delivery: Delivery, section: Section): Heard
}

/** What every section has. */
const COMMON = {
  /** Each is accepted, so that a secret can be replaced: add the next one, tell the sender, take the last one away. */
  secretFiles: z.array(z.string().min(1)).min(1).max(10),
  emitter: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes')
    .optional(),
}
export type Section = z.infer<z.ZodObject<typeof COMMON>>

export function defineSource<S extends z.ZodRawShape>(source: {
  name: string
  proof: Proof
  /** Its own part of its section. */
  settings: S
  hear(delivery: Delivery, settings: z.output<z.ZodObject<S>>): Heard
}): Source {
  const { settings, hear, ...rest } = source
  return {
    ...rest,
    section: z.strictObject({ ...COMMON, ...settings }) as unknown as z.ZodType<Section>,
    // The configuration was read by that very schema.
    hear: (delivery, section) => hear(delivery, section as unknown as z.output<z.ZodObject<S>>),
  }
}

/** Which workload something stands for, as Rekey knows it. */
export const Is = z.strictObject({
  workload: z.string().min(1).max(200),
  environment: z.string().min(1).max(200),
})

/** Two entries for one thing would leave it to chance which of them counts. */
export function distinct<T>(keyOf: (entry: T) => string) {
  return (entries: T[], context: z.RefinementCtx) => {
    const seen = new Map<string, number>()
    entries.forEach((entry, index) => {
      const first = seen.get(keyOf(entry))
      if (first !== undefined)
        context.addIssue({ code: 'custom', path: [index], message: `says the same as entry ${first}` })
      seen.set(keyOf(entry), index)
    })
  }
}

/** Reads what a source needs of a body. The complaint names the field, and repeats nothing of what was sent. */
export function fields<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const path = parsed.error.issues[0]?.path.filter((part) => typeof part === 'string') ?? []
  throw new Refusal('invalid_event', `${path.join('.') || 'the body'} is missing or not as expected`)
}

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
/** Text that may stand in an event and in a log. */
const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]*$/u)
export const is = { time, text }

/** A word of theirs for an answer: it is sent back, and stands in logs. */
export function word(theirs: string | undefined): string {
  return theirs !== undefined && /^[A-Za-z0-9._/-]{1,100}$/.test(theirs) ? theirs : 'of this kind'
}
