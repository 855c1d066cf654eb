import { z } from 'zod'
import { DISRUPTIONS } from './adapter.ts'
import { ClientSpec } from './address.ts'
import { AuthoritySpec, definitionOf } from './authorities/index.ts'
import { AwsRegion, millis, Name, Span, SpiffeId, StorePath, spanMs } from './fields.ts'
import { OWN_FIELDS } from './live-value.ts'

/** The documents of `rekey apply`. Unknown fields are errors, so that a typo is found and named. */

export const API_VERSION = 'rekey.dev/v1'

/**
 * The field in which readers find the value, where that is not `value` or has others beside it, such as a user name: these
 * stay as they are. Rekey keeps its own notes in `generation`, `key_id` and `call_key`.
 */
const ValueField = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'the name of a field, such as password')
  .refine((field) => !OWN_FIELDS.includes(field), `must not be one of ${OWN_FIELDS.join(', ')}`)
  .optional()

/** KV version 2 of Vault or OpenBao. */
export const VaultKvSpec = z.strictObject({
  name: Name,
  kind: z.literal('vault-kv'),
  mount: Name.default('secret'),
  path: StorePath,
  /** A namespace of Vault Enterprise or OpenBao, below the one that Rekey's identities log in to. */
  namespace: StorePath.optional(),
  field: ValueField,
})
export type VaultKvSpec = z.infer<typeof VaultKvSpec>

/** A secret of AWS Secrets Manager. */
export const SecretsManagerSpec = z
  .strictObject({
    name: Name,
    kind: z.literal('aws-secrets-manager'),
    /** Of the primary secret: replicas take no writes. */
    region: AwsRegion,
    secretId: StorePath,
    /** The role that Rekey assumes to reach the secret: for another account. None: Rekey's own identity reaches it. */
    roleArn: z
      .string()
      .regex(
        /^arn:aws(-[a-z]+)*:iam::\d{12}:role\/([\w+=,.@-]+\/)*[\w+=,.@-]{1,64}$/,
        'the ARN of a role, such as arn:aws:iam::111122223333:role/rekey/stores',
      )
      .optional(),
    /** What the role's trust policy asks of whoever assumes it. It is not a secret. */
    externalId: z
      .string()
      .regex(/^[\w+=,.@:/-]{2,1224}$/, '2 to 1224 letters, digits or + = , . @ : / _ -')
      .optional(),
    /** The regions of its replicas. A promotion is done when each of them shows it. */
    replicas: z
      .array(AwsRegion)
      .min(1)
      .max(20)
      .refine((regions) => new Set(regions).size === regions.length, 'regions must differ')
      .optional(),
    field: ValueField,
  })
  .superRefine(({ region, replicas, roleArn, externalId }, context) => {
    if (replicas?.includes(region))
      context.addIssue({
        code: 'custom',
        path: ['replicas'],
        message: `must not name ${region}, which is the region of the secret itself`,
      })
    if (externalId !== undefined && roleArn === undefined)
      context.addIssue({ code: 'custom', path: ['externalId'], message: 'needs a roleArn' })
  })
export type SecretsManagerSpec = z.infer<typeof SecretsManagerSpec>

export const StoreSpec = z.discriminatedUnion('kind', [VaultKvSpec, SecretsManagerSpec])
export type StoreSpec = z.infer<typeof StoreSpec>

const CountOrShare = z.union([
  z.number().int().positive(),
  z.string().regex(/^([1-9]\d?|100)%$/, 'a count, or a share such as "10%"'),
])

/**
 * A wave: a count of nodes, or a share of all nodes. `by`: a wave for each value of a label. `ofEach`: so many nodes of each
 * value in one wave, so that a canary has some of either half of a blue-green pair. Nodes' labels come from agent.yaml.
 */
export const WaveSpec = z.union([
  CountOrShare,
  z.strictObject({ by: Name }),
  z.strictObject({ ofEach: Name, nodes: CountOrShare }),
])

/** When nodes' serving software answers with errors, a routine rotation stops or goes back. */
export const BrakeSpec = z.strictObject({
  /** The share of requests that may fail (5xx, or no answer) on the nodes that were told. */
  errors: z.string().regex(/^(\d{1,2}(\.\d{1,3})?|100)%$/, 'a share such as "5%" or "0.5%"'),
  /** Of fewer requests in about the last half minute nothing is concluded. */
  requests: z.number().int().positive().default(50),
  /** How long the nodes of a wave are watched before the next one is told. */
  watchMs: millis.default(30_000),
  /** `rollback`: goes back by itself, as long as there is a way back. `hold`: waits for people. */
  action: z.enum(['rollback', 'hold']).default('rollback'),
})

const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day in UTC, such as "02:30"')

/** A weekly window in UTC; `to` at or before `from` goes over midnight. */
export const WindowSpec = z.strictObject({
  days: z.array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])).min(1),
  from: TimeOfDay,
  to: TimeOfDay,
})

export const RolloutSpec = z.strictObject({
  waves: z.array(WaveSpec).min(1).default([1, '10%', '100%']),
  /** The most nodes of one wave of a routine rotation: larger ones are split. */
  maxInFlight: z.number().int().positive().optional(),
  /** The class of adapter (A to E) beyond which a routine rotation would disturb nodes too much: it is held before a value is made. */
  maxDisruption: z.enum(DISRUPTIONS).optional(),
  brake: BrakeSpec.optional(),
  /** Causes that arrive within this time after the first are satisfied by the same rotation. */
  settleMs: millis.default(1_000),
  /** A wave that is not proved by then is put on hold and a human is told. */
  waveDeadlineMs: millis.default(300_000),
  /** The old generation must be unused for this long on every node. */
  quietMs: millis.default(30_000),
  /** The longest time that a reader of a store keeps a value. */
  readerCacheMs: millis.default(60_000),
  /** Not drained by then: hold, unless `atDrainCap` says otherwise. */
  drainCapMs: millis.default(3_600_000),
  /** `cut`: what is not drained by then is ended, whoever still uses it, and its sessions with it. */
  atDrainCap: z.enum(['hold', 'cut']).default('hold'),
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

const CredentialFields = z.strictObject({
  workload: Name,
  purpose: Name,
  /** Inbound: nodes verify, clients present. Outbound: nodes present, the authority verifies. */
  direction: z.enum(['inbound', 'outbound']),
  authority: AuthoritySpec,
  stores: z
    .array(StoreSpec)
    .min(1)
    .refine((stores) => new Set(stores.map((s) => s.name)).size === stores.length, 'store names must differ')
    .refine(
      (stores) => stores.some((s) => s.kind === 'vault-kv'),
      'at least one vault-kv store is needed: agents read values from it',
    ),
  /** Rekey itself works with it, as the connection of this name. */
  connection: Name.optional(),
  /** How old a value may get: then it is rotated without a change, in the windows of `rollout`. */
  maxAge: Span.optional(),
  /**
   * `adopt`: its first generation is what the stores hold already, taken over by `rekey adopt`; until then nothing is done
   * about it. Absent: Rekey makes it at once.
   */
  firstValue: z.literal('adopt').optional(),
  /** What a report that it leaked starts. A containment fails the requests of whoever still uses the value. */
  onLeak: z.enum(['expedite', 'contain']).default('expedite'),
  /** Who is expected to use it. Use from any other address is marked; it is never refused for that. */
  clients: z
    .array(ClientSpec)
    .max(100)
    .refine(
      (clients) => new Set(clients.map((c) => c.name)).size === clients.length,
      'client names must differ',
    )
    .optional(),
  rollout: RolloutSpec.prefault({}),
})

const WEEK_MS = 7 * 86_400_000

/** Why a value that ends by itself could end before the next one is in use; undefined: it cannot. */
function tooLate(
  lifeMs: number,
  maxAge: string | undefined,
  { windows, jitterMs, overdueMs, quietMs, readerCacheMs }: RolloutSpec,
  quietMsMin = 0,
): string | undefined {
  if (maxAge === undefined)
    return 'is needed: a value of this kind ends by itself, and the next one must be in use before. Two thirds of its life are usual'
  const ageMs = spanMs(maxAge)
  if (ageMs > (lifeMs * 2) / 3)
    return 'must be at most two thirds of the life of a value, which ends by itself: a rotation needs time'
  // One that is rolled back is drained, too, before the next one begins.
  const drainMs = Math.max(quietMs, readerCacheMs, quietMsMin)
  const needsMs = (windows.length > 0 ? WEEK_MS : 0) + jitterMs + overdueMs + drainMs
  if (Math.min(ageMs, lifeMs - ageMs) >= needsMs) return undefined
  return `must be at least ${needsMs} ms, and as much less than the life of a value: so long a rotation may wait for a window (a week) and jitterMs, drain, and take until somebody is told (overdueMs)`
}

export const CredentialSpec = CredentialFields.superRefine(
  ({ direction, authority, stores, connection, firstValue, onLeak, maxAge, rollout }, context) => {
    const definition = definitionOf(authority)
    const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const instead = definition.insteadOfAdoption
    if (firstValue === 'adopt' && instead !== undefined)
      refuse(['firstValue'], `a value of ${authority.kind} is not adopted: ${instead}`)
    if (direction !== definition.direction)
      refuse(
        ['direction'],
        `must be ${definition.direction}: that is what the authority ${authority.kind} is for`,
      )
    const lifeMs = definition.lifeMs?.(authority)
    const late =
      lifeMs === undefined
        ? undefined
        : tooLate(lifeMs, maxAge, rollout, definition.abilities(authority).quietMsMin)
    if (late !== undefined) refuse(['maxAge'], late)
    for (const [at, store] of stores.entries()) {
      const why = definition.refusesStore?.(authority, store)
      if (why !== undefined) context.addIssue({ code: 'custom', path: ['stores', at], message: why })
    }
    if (connection === undefined) return
    if (direction === 'inbound') refuse(['connection'], 'Rekey presents its connections: they are outbound')
    if ([definition.through(authority)].flat().includes(connection))
      refuse(
        ['authority', 'connection'],
        `must not be ${connection}: a connection is not rotated through itself, for if that went wrong nobody could mend it`,
      )
    if (onLeak === 'contain')
      refuse(['onLeak'], 'must be expedite: to contain a connection ends the one that Rekey works with')
  },
)
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
  /** As how severe a request with a dead key is told; `off`: it is not told. Absent: `warning`. */
  knocks: z.enum(['off', ...Severity.options]).optional(),
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
