import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { RekeyError, type Secret } from '@rekey/contracts'
import type { Logger } from '@rekey/runtime'
import { parse } from 'yaml'
import { z } from 'zod'
import { sharedSecrets } from './secrets.ts'
import type { Delivery, Heard, Proof, Section } from './source.ts'
import { SOURCES } from './sources/registry.ts'

const text = z.string().min(1)

export const Config = z
  .object({
    KAFKA_BROKERS: z
      .string()
      .transform((list) => list.split(',').flatMap((broker) => broker.trim() || []))
      .refine((brokers) => brokers.length > 0, 'name at least one broker, as host:port'),
    /** Which sources there are, and what their words mean: YAML or JSON. */
    WEBHOOKS_CONFIG_FILE: text,
    /** Where reports of leaks wait for Kafka. Each process needs its own, on a disk that outlives it. */
    WEBHOOKS_SPOOL_DIR: text,
    /** So many reports may wait there. */
    WEBHOOKS_SPOOL_MAX: z.coerce.number().int().min(1).max(100_000).default(1_000),
    WEBHOOKS_CHANGES_PER_MINUTE: z.coerce.number().int().min(1).max(100_000).default(600),
    WEBHOOKS_PORT: z.coerce.number().int().min(0).max(65_535).default(7480),
    /** Give it another address only with TLS: by WEBHOOKS_TLS_CERT_FILE, or behind something that ends it. */
    WEBHOOKS_HOST: text.default('127.0.0.1'),
    WEBHOOKS_TLS_CERT_FILE: text.optional(),
    WEBHOOKS_TLS_KEY_FILE: text.optional(),
    HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
    /** For fingerprints of leaked values alone, where github.api is configured. This identity can read no value. */
    VAULT_ADDR: z.url().optional(),
    VAULT_ROLE_ID_FILE: text.optional(),
    VAULT_SECRET_ID_FILE: text.optional(),
  })
  .refine((c) => (c.WEBHOOKS_TLS_CERT_FILE === undefined) === (c.WEBHOOKS_TLS_KEY_FILE === undefined), {
    path: ['WEBHOOKS_TLS_CERT_FILE'],
    message: 'goes with WEBHOOKS_TLS_KEY_FILE',
  })
  .refine((c) => (c.VAULT_ROLE_ID_FILE === undefined) === (c.VAULT_SECRET_ID_FILE === undefined), {
    path: ['VAULT_ROLE_ID_FILE'],
    message: 'goes with VAULT_SECRET_ID_FILE and VAULT_ADDR',
  })

/** A section for each source; what is not there is not served. Unknown fields are errors, so that a typo is found. */
const Document = z
  .strictObject(Object.fromEntries(SOURCES.map(({ name, section }) => [name, section.optional()])))
  .refine((sections) => Object.values(sections).some((section) => section !== undefined), 'names no source')

/** What only GitHub's section has. */
type GithubApi = { api?: { url: string; tokenFile: string } }

/** A source with its configuration: what the server needs to know of it. */
export type OpenSource = {
  name: string
  emitter: string
  proof: Proof
  secrets: () => readonly Secret[]
  hear: (delivery: Delivery) => Heard
}

/** Relative paths are meant from the file's own folder. */
export function readSources(
  file: string,
  logger: Logger,
): { sources: OpenSource[]; api: { url: string; tokenFile: string } | undefined } {
  const sections = parseSections(file)
  const at = (path: string) => resolve(dirname(file), path)
  const sources = SOURCES.flatMap((source) => {
    const section = sections[source.name]
    if (!section) return []
    return {
      name: source.name,
      emitter: section.emitter ?? source.name,
      proof: source.proof,
      secrets: sharedSecrets(section.secretFiles.map(at), logger),
      hear: (delivery: Delivery) => source.hear(delivery, section),
    }
  })
  const { api } = (sections.github ?? {}) as GithubApi
  return { sources, api: api && { url: api.url, tokenFile: at(api.tokenFile) } }
}

function parseSections(file: string): Record<string, Section | undefined> {
  const wrong = (why: string) => new RekeyError('invalid_configuration', `${file}: ${why}`)
  let document: unknown
  try {
    document = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw wrong(`cannot be read as YAML: ${code}`)
  }
  const parsed = Document.safeParse(document)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((i) => `${i.path.join('.') || '(document)'}: ${i.message}`)
  throw wrong(faults.join('; '))
}
