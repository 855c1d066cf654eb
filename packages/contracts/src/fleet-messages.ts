import { z } from 'zod'

/** The fleet channel: JSON text frames over one mTLS WebSocket that the agent opens. No value ever passes here. */

const generation = z.number().int().positive()
const revision = z.number().int().nonnegative()

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
  store: z.object({ kind: z.literal('vault-kv'), mount: z.string(), path: z.string() }),
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
  inFlight: z.number().int().nonnegative(),
  lastUseAgeMs: z.number().nonnegative().nullable(),
  requests: z.number().int().nonnegative(),
})

const seen = z.enum(['accepted', 'refused', 'unknown'])

export const AgentToFleet = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    boot: z.string().max(64),
    agentVersion: z.string().max(64),
    adapters: z.array(
      z.object({ credential: z.string(), kind: z.string(), disruption: z.enum(['A', 'B', 'C', 'D', 'E']) }),
    ),
  }),
  /** The node holds exactly the desired state, tried on its real path. One proof per accepted generation. */
  z.object({
    type: z.literal('ack'),
    credential: z.string(),
    revision,
    session: z.number().int(),
    nonce: z.string(),
    proofs: z.array(z.object({ generation, signature: z.string(), tried: seen })),
    /** For each refused generation whose value the node still held: what it saw on its own path. */
    refusals: z.array(z.object({ generation, tried: seen })),
  }),
  /** The node could not reach the desired state and serves its last good one. `reason` is a code, never a value. */
  z.object({
    type: z.literal('nack'),
    credential: z.string(),
    revision,
    session: z.number().int(),
    generation: generation.nullable(),
    reason: z.enum([
      'store_unreachable',
      'value_missing',
      'below_floor',
      'value_refused',
      'adapter_failed',
      'not_configured',
    ]),
    detail: z.string().max(300),
  }),
  z.object({
    type: z.literal('usage'),
    credential: z.string(),
    session: z.number().int(),
    generations: z.array(UsageReport),
  }),
  /** Asks for a new certificate before the present one ends. Only a node that is connected can. */
  z.object({ type: z.literal('renew'), session: z.number().int(), csr: z.string().max(8192) }),
])
export type AgentToFleet = z.infer<typeof AgentToFleet>
export type Ack = Extract<AgentToFleet, { type: 'ack' }>
export type Nack = Extract<AgentToFleet, { type: 'nack' }>
export type UsageMessage = Extract<AgentToFleet, { type: 'usage' }>

/** Enrolment: HTTPS POST /v1/enrol, before the node has a certificate. */
export const EnrolRequest = z.object({
  node: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes'),
  joinToken: z.string().min(32).max(128),
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
