import { resolve } from 'node:path'
import { LABELS_MAX, LAST_USE_AGE_MAX_MS, Name } from '@rekey/contracts'
import { z } from 'zod'
import { type AdapterConfig, adapterConfig, claimsOf, resolvedAdapter } from './adapters/registry.ts'
import { notValid, parseDocument, readDocument } from './config-file.ts'

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes (at most 63)')

const lifetime = z.number().int().min(0).max(LAST_USE_AGE_MAX_MS)

/** The agent's one static file. Unknown fields are errors, so that a typo is found and named. */
export const AgentConfig = z.strictObject({
  node: name,
  fleet: z.strictObject({
    /** The mTLS WebSocket endpoint. */
    url: z.url({ protocol: /^wss$/, error: 'must be a wss:// address' }),
    enrolUrl: z.url({ protocol: /^https$/, error: 'must be an https:// address' }),
    /** Trust anchor for the enrolment; the authorities that enrolment returns are trusted afterwards. */
    caFile: z.string().min(1),
  }),
  joinTokenFile: z.string().min(1).optional(),
  /** In its place: a certificate of SPIRE and its key (PEM), which somebody beside the agent keeps fresh. */
  svid: z.strictObject({ certFile: z.string().min(1), keyFile: z.string().min(1) }).optional(),
  stateDir: z.string().min(1),
  vault: z.strictObject({
    addr: z.url({ protocol: /^https?$/, error: 'must be an http(s):// address' }),
  }),
  /** How often the agent looks whether its gateway still holds what it was given. */
  pollMs: z.number().int().min(100).max(60_000).default(1_000),
  /** How often counters are read; they are sent when they changed, and every fifth time anyway. */
  usageMs: z.number().int().min(100).max(60_000).default(1_000),
  /** What waves may go by, such as `zone` and `version`: the same names as in a credential's `rollout.waves`. */
  labels: z
    .record(Name, z.string().min(1).max(64))
    .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`)
    .optional(),
  /** By credential: for how long what serves here may go on with what it had. A drain waits for it, or says so. */
  lifetimes: z
    .record(
      z.string(),
      z.strictObject({
        /** The longest that the software keeps a value, or a token that it got for one. */
        cacheMs: lifetime.optional(),
        /** The longest that a request or stream runs. */
        longestMs: lifetime.optional(),
      }),
    )
    .optional(),
  adapters: z.array(adapterConfig).min(1).max(64),
})
export type AgentConfig = z.infer<typeof AgentConfig>

export function parseConfig(text: string, folder: string): AgentConfig {
  const config = parseDocument(text, AgentConfig)
  const { joinTokenFile, svid } = config
  if (joinTokenFile !== undefined && svid !== undefined)
    throw notValid(['svid: another way to enrol than joinTokenFile: name one of the two'])
  const at = (path: string) => resolve(folder, path)
  const adapters = config.adapters.map((adapter) => resolvedAdapter(adapter, at))
  refuseCollisions(adapters)
  const strange = Object.keys(config.lifetimes ?? {}).find(
    (name) => !adapters.some((a) => a.credential === name),
  )
  if (strange !== undefined) throw notValid([`lifetimes.${strange}: no adapter is for this credential`])
  return {
    ...config,
    fleet: { ...config.fleet, caFile: at(config.fleet.caFile) },
    ...(joinTokenFile === undefined ? {} : { joinTokenFile: at(joinTokenFile) }),
    ...(svid === undefined ? {} : { svid: { certFile: at(svid.certFile), keyFile: at(svid.keyFile) } }),
    stateDir: at(config.stateDir),
    adapters,
  }
}

function refuseCollisions(adapters: AdapterConfig[]): void {
  const seen = new Map<string, number>()
  adapters.forEach((adapter, index) => {
    for (const claim of claimsOf(adapter)) {
      const first = seen.get(claim)
      if (first !== undefined) throw notValid([`adapters.${index}: ${claim} is taken by adapters.${first}`])
      seen.set(claim, index)
    }
  })
}

/** Relative paths are meant from the file's own folder. */
export async function readConfigFile(path: string): Promise<AgentConfig> {
  const { text, folder } = await readDocument(path)
  return parseConfig(text, folder)
}
