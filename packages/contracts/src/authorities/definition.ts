import type { z } from 'zod'

/** How rotations under an authority are planned, as its spec says it. */
export type AuthorityAbilities = {
  /** How many generations it can accept at once. */
  slots: 1 | 2
  /** How long it refuses a generation reversibly before it is ended, milliseconds; null: it cannot. */
  soakMs: number | null
  /** How long it may still accept what it was told to refuse, milliseconds. */
  refusalLagMs: number
  /** `observed`: it can be asked who still uses a generation. Absent: the nodes' counters say so. */
  evidence?: 'observed'
  /** A routine rotation waits at least for so long without a use, milliseconds: uses are told of so late. */
  quietMsMin?: number
  /** A provider makes the value: it is accepted from then on, and not only when that is asked for. */
  minted?: true
}

/** All that is said of a kind of authority. What it does is in a backend package. */
export type AuthorityDefinition<Schema extends z.ZodType<{ kind: string }>> = {
  kind: z.infer<Schema>['kind']
  /** Who verifies decides. */
  direction: 'inbound' | 'outbound'
  /** `spec.authority` of a credential. */
  schema: Schema
  /** The fields that say what it is about: with others, live generations would be lost, so they cannot be changed. */
  identity: (keyof z.infer<Schema>)[]
  abilities(spec: z.infer<Schema>): AuthorityAbilities
  /** Where an existing value of the kind cannot be adopted: which way there is instead. */
  insteadOfAdoption?: string
  /** How long a value lives if nobody ends it, milliseconds: then `maxAge` must bring the next one. Absent: for ever. */
  lifeMs?(spec: z.infer<Schema>): number
  /** The connection that Rekey works on it through, or several; undefined: it needs none. */
  through(spec: z.infer<Schema>): string | readonly string[] | undefined
  /** Why this place cannot be a store of the credential; undefined: it can. */
  refusesStore?(
    spec: z.infer<Schema>,
    store: { kind: string; region?: string; secretId?: string },
  ): string | undefined
  /** What a value opens, as far as it is known. */
  reaches(spec: z.infer<Schema>): { name: string; url: string }[]
  /** For the page of authorities. */
  about: {
    /** What it is for, as the end of "for …". */
    purpose: string
    /** Links from docs/reference. */
    pages: string[]
    /** As small as it can be. */
    example: z.input<Schema>
    /** What the drain goes by, where its verbs do not say it. */
    evidence?: string
  }
}

export function defineAuthority<Schema extends z.ZodType<{ kind: string }>>(
  definition: AuthorityDefinition<Schema>,
): AuthorityDefinition<Schema> {
  return definition
}
