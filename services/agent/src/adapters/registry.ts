import { z } from 'zod'
import { containerCredentialsDefinition } from './container-credentials/adapter.ts'
import type { AdapterDefinition } from './definition.ts'
import { envoyDefinition } from './envoy/adapter.ts'
import { fileDefinition } from './file/adapter.ts'
import { haproxyDefinition } from './haproxy/adapter.ts'
import { nginxMapDefinition } from './nginx-map/adapter.ts'
import type { NodeAdapter } from './node-adapter.ts'
import { pgbouncerDefinition } from './pgbouncer/adapter.ts'
import { subrequestDefinition } from './subrequest/adapter.ts'

/** One line per kind, and one in `adapterConfig`; the folder has the same name. */
const DEFINITIONS = {
  'container-credentials': containerCredentialsDefinition,
  envoy: envoyDefinition,
  file: fileDefinition,
  haproxy: haproxyDefinition,
  'nginx-map': nginxMapDefinition,
  pgbouncer: pgbouncerDefinition,
  subrequest: subrequestDefinition,
}

export const adapterConfig = z.discriminatedUnion('kind', [
  containerCredentialsDefinition.config,
  envoyDefinition.config,
  fileDefinition.config,
  haproxyDefinition.config,
  nginxMapDefinition.config,
  pgbouncerDefinition.config,
  subrequestDefinition.config,
])
export type AdapterConfig = z.infer<typeof adapterConfig>

/** The definition of a configuration's own kind, which its configuration fits by construction. */
const definitionOf = (config: AdapterConfig) =>
  DEFINITIONS[config.kind] as unknown as AdapterDefinition<typeof adapterConfig>

export const makeAdapter = (config: AdapterConfig): NodeAdapter => definitionOf(config).make(config)

export const claimsOf = (config: AdapterConfig): string[] => [
  `credential ${config.credential}`,
  ...definitionOf(config).claims(config),
]

export const resolvedAdapter = (config: AdapterConfig, at: (path: string) => string): AdapterConfig =>
  definitionOf(config).resolved(config, at)
