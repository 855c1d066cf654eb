import { z } from 'zod'

/** The documents of `rekey apply`. Unknown fields are errors, so that a typo is found and named. */

export const API_VERSION = 'rekey.dev/v1'

export const Name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes (at most 63)')

/** A path in a store: no `..`, no query, no control character, because clients do not normalise paths. */
const StorePath = z
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

const millis = z.number().int().min(0).max(86_400_000)

export const StoreSpec = z.discriminatedUnion('kind', [
  z.strictObject({ name: Name, kind: z.literal('vault-kv'), mount: Name.default('secret'), path: StorePath }),
  z.strictObject({
    name: Name,
    kind: z.literal('aws-secrets-manager'),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region, such as eu-central-1'),
    secretId: StorePath,
  }),
])
export type StoreSpec = z.infer<typeof StoreSpec>

/** An endpoint on the real path, at which the prober tries keys. */
export const EndpointSpec = z.strictObject({
  name: Name,
  url: z.url({ protocol: /^https?$/ }),
})

export const AuthoritySpec = z.strictObject({
  /** The serving nodes verify the key themselves: Rekey makes the value. */
  kind: z.literal('nodes'),
  endpoints: z.array(EndpointSpec).min(1),
  /** The only answers that count as a refusal. */
  refusals: z.array(z.number().int().min(400).max(499)).min(1).default([401, 403]),
})

/** A wave: a count of nodes, or a share of all nodes. */
export const WaveSpec = z.union([
  z.number().int().positive(),
  z.string().regex(/^([1-9]\d?|100)%$/, 'a count, or a share such as "10%"'),
])

const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day in UTC, such as "02:30"')

/** A weekly window in UTC; `to` at or before `from` goes over midnight. */
export const WindowSpec = z.strictObject({
  days: z.array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])).min(1),
  from: TimeOfDay,
  to: TimeOfDay,
})

export const RolloutSpec = z.strictObject({
  waves: z.array(WaveSpec).min(1).default([1, '10%', '100%']),
  /** Causes that arrive within this time after the first are satisfied by the same rotation. */
  settleMs: millis.default(1_000),
  /** A wave that is not proved by then is put on hold and a human is told. */
  waveDeadlineMs: millis.default(300_000),
  /** The old generation must be unused for this long on every node. */
  quietMs: millis.default(30_000),
  /** The longest time that a reader of a store keeps a value. */
  readerCacheMs: millis.default(60_000),
  /** Not drained by then: hold, never a cut. */
  drainCapMs: millis.default(3_600_000),
  /** When the key has leaked and must go on serving: the drain is cut after this, whoever still uses it. */
  expediteDrainMs: millis.default(5_000),
  /** When routine rotations may start, in UTC; none: at any time. Emergencies ask for no window. */
  windows: z.array(WindowSpec).max(50).default([]),
  /** A routine rotation starts up to this much later, drawn once, so that a hundred do not start at once. */
  jitterMs: millis.default(0),
  /** The longest time that a node may stay silent for its counters to still count as evidence. */
  evidenceMs: millis.default(15_000),
  /** A rotation that is still open by then is held, and a human is told. */
  overdueMs: millis.default(7_200_000),
})
export type RolloutSpec = z.infer<typeof RolloutSpec>

const envelope = <K extends string, S extends z.ZodType>(kind: K, spec: S) =>
  z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata: z.strictObject({ name: Name }),
    spec,
  })

export const WorkloadSpec = z.strictObject({
  spiffeId: SpiffeId,
  environment: Name,
  owner: z.string().min(1).max(200),
  /** What is known of it now. A change is found by comparing an event with this, never by trusting the event. */
  artifact: z.string().max(500).optional(),
  vendor: z.string().max(200).optional(),
  dataset: z.string().max(200).optional(),
  zone: z.string().max(200).optional(),
})

export const CredentialSpec = z.strictObject({
  workload: Name,
  purpose: Name,
  direction: z.literal(
    'inbound',
    'only inbound credentials (nodes verify, clients present) are supported so far',
  ),
  authority: AuthoritySpec,
  stores: z
    .array(StoreSpec)
    .min(1)
    .refine((stores) => new Set(stores.map((s) => s.name)).size === stores.length, 'store names must differ')
    .refine(
      (stores) => stores.some((s) => s.kind === 'vault-kv'),
      'at least one vault-kv store is needed: agents read values from it',
    ),
  /** What a report that it leaked starts. A containment fails the requests of whoever still uses the value. */
  onLeak: z.enum(['expedite', 'contain']).default('expedite'),
  rollout: RolloutSpec.prefault({}),
})
export type CredentialSpec = z.infer<typeof CredentialSpec>

/** The kinds of change that a rule can name. */
export const ChangeType = z.enum([
  'service.deployed',
  'service.upgraded',
  'environment.modified',
  'vendorchanged',
  'datasetchanged',
  'zonechanged',
])
export type ChangeType = z.infer<typeof ChangeType>

export const RuleSpec = z.strictObject({
  when: z.strictObject({
    change: z.array(ChangeType).min(1),
    workload: Name.optional(),
    environment: Name.optional(),
  }),
  /** Names of credentials. */
  rotate: z.array(Name).min(1),
})
export type RuleSpec = z.infer<typeof RuleSpec>

export const Severity = z.enum(['info', 'warning', 'critical'])
export type Severity = z.infer<typeof Severity>

/** A secret never goes over a wire in the clear; a receiver on the same host needs no TLS. */
export const TargetUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const url = URL.parse(text)
  return url?.protocol === 'https:' || ['127.0.0.1', '[::1]', 'localhost'].includes(url?.hostname ?? '')
}, 'must be https, but on the same host')

const target = <K extends string, S extends z.ZodRawShape>(kind: K, shape: S) =>
  z.strictObject({
    name: Name,
    kind: z.literal(kind),
    /** What is less severe is not told here. */
    severity: Severity.default('info'),
    ...shape,
  })

/** The name of a file at the conductor, in the folder REKEY_NOTIFY_SECRETS_DIR: configuration holds no secret. */
const SecretFile = Name

/** Where people are told. */
export const TargetSpec = z.discriminatedUnion('kind', [
  /** Posts the notice as JSON. The file holds its URL, where that is a secret. */
  target('webhook', { url: TargetUrl.optional(), secretFile: SecretFile.optional() }),
  /** Slack's incoming webhooks, and what speaks like them. The file holds the URL. */
  target('slack', { secretFile: SecretFile }),
  /** PagerDuty's Events API v2, and what speaks like it. The file holds the routing key. */
  target('pagerduty', { url: TargetUrl.optional(), secretFile: SecretFile }),
])
export type TargetSpec = z.infer<typeof TargetSpec>

/** Who answers for workloads: `spec.owner` of a workload names it. */
export const OwnerSpec = z.strictObject({
  notify: z
    .array(TargetSpec)
    .max(20)
    .refine(
      (targets) => new Set(targets.map((t) => t.name)).size === targets.length,
      'target names must differ',
    )
    .refine(
      (targets) =>
        targets.every((t) => t.kind !== 'webhook' || (t.url === undefined) !== (t.secretFile === undefined)),
      'a webhook has a url, or a secretFile that holds it',
    ),
})
export type OwnerSpec = z.infer<typeof OwnerSpec>

export const Document = z.discriminatedUnion('kind', [
  envelope('Owner', OwnerSpec),
  envelope('Workload', WorkloadSpec),
  envelope('Credential', CredentialSpec),
  envelope('Rule', RuleSpec),
])
export type Document = z.infer<typeof Document>
