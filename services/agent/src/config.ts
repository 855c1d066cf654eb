import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { adapterConfig } from './adapters/registry.ts'

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes (at most 63)')

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
  stateDir: z.string().min(1),
  vault: z.strictObject({
    addr: z.url({ protocol: /^https?$/, error: 'must be an http(s):// address' }),
  }),
  /** How often the agent looks whether its gateway still holds what it was given. */
  pollMs: z.number().int().min(100).max(60_000).default(1_000),
  /** How often counters are read; they are sent when they changed, and every fifth time anyway. */
  usageMs: z.number().int().min(100).max(60_000).default(1_000),
  adapters: z
    .array(adapterConfig)
    .min(1)
    .max(64)
    .superRefine((adapters, context) => {
      const seen = new Map<string, number>()
      adapters.forEach((adapter, index) => {
        // Two credentials in one map or file would overwrite each other at every change.
        const targets =
          adapter.kind === 'haproxy'
            ? [adapter.map, adapter.graveyard].flatMap((map) => (map === undefined ? [] : [`map ${map}`]))
            : [`path ${adapter.path}`]
        for (const claim of [`credential ${adapter.credential}`, ...targets]) {
          const first = seen.get(claim)
          if (first !== undefined) {
            context.addIssue({
              code: 'custom',
              path: [index],
              message: `${claim} is taken by adapters.${first}`,
            })
          }
          seen.set(claim, index)
        }
      })
    }),
})
export type AgentConfig = z.infer<typeof AgentConfig>

/** Says which field is wrong, in the words of the file. */
export class ConfigError extends Error {}

export function parseConfig(text: string, folder: string): AgentConfig {
  let document: unknown
  try {
    document = parse(text)
  } catch (error) {
    throw new ConfigError(`not YAML: ${(error as Error).message}`)
  }
  const result = AgentConfig.safeParse(document)
  if (!result.success) {
    const problems = result.error.issues.map((i) => `  ${i.path.join('.') || '(document)'}: ${i.message}`)
    throw new ConfigError(`the configuration is not valid:\n${problems.join('\n')}`)
  }
  const at = (path: string) => resolve(folder, path)
  const config = result.data
  return {
    ...config,
    fleet: { ...config.fleet, caFile: at(config.fleet.caFile) },
    ...(config.joinTokenFile === undefined ? {} : { joinTokenFile: at(config.joinTokenFile) }),
    stateDir: at(config.stateDir),
    adapters: config.adapters.map((adapter) =>
      adapter.kind === 'haproxy'
        ? {
            ...adapter,
            socket: at(adapter.socket),
            // `map` names the map to HAProxy, so it stays as written.
            mapFile: at(adapter.mapFile ?? adapter.map),
            ...(adapter.graveyard !== undefined && {
              graveyardFile: at(adapter.graveyardFile ?? adapter.graveyard),
            }),
          }
        : {
            ...adapter,
            path: at(adapter.path),
            ...(adapter.appRole && {
              appRole: { ...adapter.appRole, roleIdFile: at(adapter.appRole.roleIdFile) },
            }),
            ...(adapter.mtls?.caFile !== undefined && {
              mtls: { ...adapter.mtls, caFile: at(adapter.mtls.caFile) },
            }),
            ...(adapter.shown?.caFile !== undefined && {
              shown: { ...adapter.shown, caFile: at(adapter.shown.caFile) },
            }),
          },
    ),
  }
}

/** Relative paths are meant from the file's own folder. */
export async function readConfigFile(path: string): Promise<AgentConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
  return parseConfig(text, dirname(resolve(path)))
}
