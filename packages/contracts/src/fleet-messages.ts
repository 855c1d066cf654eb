import { z } from 'zod'
import { DISRUPTIONS } from './adapter.ts'
import { Address } from './address.ts'

/** The fleet channel: JSON text frames over one mTLS WebSocket that the agent opens. No value ever passes here. */

/**
 * What both sides speak. Fields that come later are optional, and unknown ones are left out, so that an agent of the release
 * before works; the number grows only where that cannot be, and then the fleet says so instead of calling it malformed.
 */
export const PROTOCOL = 1

/**
 * An agent is authenticated, not trusted. What it says is written in batches with what others say, so that nothing
 * may pass here that the ledger's columns do not hold.
 */
const INTEGER_MAX = 2_147_483_647
const ITEMS_MAX = 64
/** How many addresses one message names; and how many dead generations a node watches. */
export const CLIENTS_MAX = 128
export const KNOCKS_MAX = 64
/** How many generations one report of use is about. */
export const USAGES_MAX = 64
export const WATCHED_MAX = 64
export const LABELS_MAX = 16
/** An age beyond this is said as this. */
export const LAST_USE_AGE_MAX_MS = 366 * 24 * 3_600_000

const generation = z.number().int().positive().max(INTEGER_MAX)
const revision = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
const session = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
/** Without control characters and halves of characters, which PostgreSQL refuses in text or in jsonb. */
const plain = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'no control characters')
const name = plain(64)

/** What one node shall hold of one credential. Complete each time; an older revision is ignored. */
export const DesiredState = z.object({
  credential: z.string(),
  revision,
  /** The generations to accept, each with what the node needs to read and check it. */
  accept: z.array(z.object({ generation, keyId: z.string() })),
  /** Generations that must be refused now; the node tries those whose value it still holds on itself. */
  refuse: z.array(generation),
  /** The lowest generation that this node may take. */
  floor: generation,
  /** Where the agent reads values, with its own identity. The only store kind that agents read in this release. */
  store: z.object({
    kind: z.literal('vault-kv'),
    mount: z.string(),
    path: z.string(),
    namespace: z.string().optional(),
    /** Where readers find the value, with others beside it; without it: it is all that they find. */
    field: z.string().optional(),
  }),
})
export type DesiredState = z.infer<typeof DesiredState>

export const FleetToAgent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    session: z.number().int(),
    node: z.string(),
    heartbeatMs: z.number(),
  }),
  z.object({ type: z.literal('desired'), nonce: z.string(), state: DesiredState }),
  /**
   * These generations are proved dead: whoever still presents one knocks. Sent only for an adapter whose `hello` said
   * that it `buries`, because an older agent takes a message that it does not know for a broken fleet.
   */
  z.object({ type: z.literal('dead'), credential: z.string(), generations: z.array(generation) }),
  /** The answer to `renew`: a certificate for the same node and key request. */
  z.object({
    type: z.literal('renewed'),
    certificate: z.string(),
    authorities: z.string(),
    expiresAt: z.string(),
  }),
])
export type FleetToAgent = z.infer<typeof FleetToAgent>

export const UsageReport = z.object({
  generation,
  inFlight: z.number().int().nonnegative().max(INTEGER_MAX),
  lastUseAgeMs: z.number().nonnegative().max(LAST_USE_AGE_MAX_MS).nullable(),
  requests: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  /** Of them, those that were answered with a 5xx or not at all; absent: the software does not count them. */
  failures: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).optional(),
})

/** Requests with one generation from one address, as counted by the software now: its restart begins anew. */
export const ClientUse = z.object({
  generation,
  address: Address,
  requests: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  lastUseAgeMs: z.number().nonnegative().max(LAST_USE_AGE_MAX_MS),
})
export type ClientUse = z.infer<typeof ClientUse>

/** At most a year. */
const lifetime = z.number().int().nonnegative().max(LAST_USE_AGE_MAX_MS)

const seen = z.enum(['accepted', 'refused', 'unknown'])

export const AgentToFleet = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    boot: name,
    agentVersion: name,
    /** Absent: 1, which agents spoke before they said so. */
    protocol: z.number().int().positive().max(INTEGER_MAX).optional(),
    /** What waves may go by: the node's zone, the version that it serves. */
    labels: z
      .record(name, name)
      .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`)
      .optional(),
    adapters: z
      .array(
        z.object({
          credential: name,
          kind: name,
          disruption: z.enum(DISRUPTIONS),
          /** It can notice requests with dead keys, and wants to be told which are dead. */
          buries: z.boolean().optional(),
          /** How long its software goes on with a value that it had before. */
          cacheMs: lifetime.optional(),
          /** The longest that a request or stream runs. */
          longestMs: lifetime.optional(),
        }),
      )
      .max(ITEMS_MAX),
  }),
  /** The node holds exactly the desired state, tried on its real path. One proof per accepted generation. */
  z.object({
    type: z.literal('ack'),
    credential: name,
    revision,
    session,
    nonce: name,
    proofs: z.array(z.object({ generation, signature: plain(128), tried: seen })).max(ITEMS_MAX),
    /** For each refused generation whose value the node still held: what it saw on its own path. */
    refusals: z.array(z.object({ generation, tried: seen })).max(ITEMS_MAX),
  }),
  /** The node could not reach the desired state and serves its last good one. `reason` is a code, never a value. */
  z.object({
    type: z.literal('nack'),
    credential: name,
    revision,
    session,
    generation: generation.nullable(),
    reason: z.enum([
      'store_unreachable',
      'value_missing',
      'below_floor',
      'value_refused',
      'adapter_failed',
      'not_configured',
    ]),
    /** Made plain, not refused: it may quote what a gateway said. */
    detail: z
      .string()
      .max(300)
      .transform((text) => text.toWellFormed().replaceAll(/\p{Cc}/gu, ' ')),
  }),
  z.object({
    type: z.literal('usage'),
    credential: name,
    session,
    generations: z.array(UsageReport).max(USAGES_MAX),
    /** By whom accepted generations are used. Absent: not known, or nothing to add to what was said. */
    clients: z.array(ClientUse).max(CLIENTS_MAX).optional(),
    /** Which dead generations this node would notice, and who presented one. Absent as above. */
    graveyard: z
      .object({
        watched: z.array(generation).max(WATCHED_MAX),
        knocks: z.array(ClientUse).max(KNOCKS_MAX),
      })
      .optional(),
  }),
  /** Asks for a new certificate before the present one ends. Only a node that is connected can. */
  z.object({ type: z.literal('renew'), session, csr: z.string().max(8192) }),
])
export type AgentToFleet = z.infer<typeof AgentToFleet>
/** What an agent says of its node when it comes in. */
export type NodeManifest = Partial<Pick<Extract<AgentToFleet, { type: 'hello' }>, 'labels' | 'adapters'>>
export type Ack = Extract<AgentToFleet, { type: 'ack' }>
export type Nack = Extract<AgentToFleet, { type: 'nack' }>
export type UsageMessage = Extract<AgentToFleet, { type: 'usage' }>

/** Enrolment: HTTPS POST /v1/enrol, before the node has a certificate. */
export const EnrolRequest = z.object({
  node: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes'),
  /** Absent: the node comes with a certificate of SPIRE in the handshake. */
  joinToken: z.string().min(32).max(128).optional(),
  csr: z.string().max(8192),
})
export const EnrolResponse = z.object({
  spiffeId: z.string(),
  certificate: z.string(),
  authorities: z.string(),
  expiresAt: z.string(),
  /** The node's own Vault identity: the secret id comes response-wrapped, so that only one reader can open it. */
  vault: z.object({ roleId: z.string(), wrappedSecretId: z.string() }),
})
export type EnrolRequest = z.infer<typeof EnrolRequest>
export type EnrolResponse = z.infer<typeof EnrolResponse>
