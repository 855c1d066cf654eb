import { z } from 'zod'

export const Name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes (at most 63)')

/** A path in a store: no `..`, no query, no control character, because clients do not normalise paths. */
export const StorePath = z
  .string()
  .max(400)
  .regex(
    /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/,
    'use letters, digits, _ . - and single slashes',
  )
  .refine((path) => !path.includes('..'), 'must not contain ".."')

export const SpiffeId = z
  .string()
  .regex(/^spiffe:\/\/[a-z0-9.-]+(\/[A-Za-z0-9._-]+)+$/, 'a SPIFFE ID, such as spiffe://example.org/chat')

/** At most a day. */
export const millis = z.number().int().min(0).max(86_400_000)

export const AwsRegion = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region, such as eu-central-1')

/** In minutes, hours or days, as PostgreSQL reads an interval. */
export const Span = z.string().regex(/^[1-9]\d{0,3}[mhd]$/, 'a number and m, h or d, such as 90d')

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export function spanMs(span: string): number {
  const unit = span.slice(-1) as keyof typeof UNIT_MS
  return Number(span.slice(0, -1)) * UNIT_MS[unit]
}
