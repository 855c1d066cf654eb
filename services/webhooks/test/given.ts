import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CloudEvent } from '@rekey/events'
import { createLogger, type Logger } from '@rekey/runtime'
import { readSources } from '../src/config.ts'
import type { Report } from '../src/report.ts'
import { buildWebhooks } from '../src/server.ts'
import { SECRET } from './payloads.ts'

export const TOKEN = 'a-token-of-argo-cd-in-tests'

/** A folder of its own, as the configuration needs it; `end` takes it away. */
export function givenFolder() {
  const dir = mkdtempSync(join(tmpdir(), 'rekey-webhooks-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  return { dir, file, end: () => rmSync(dir, { recursive: true, force: true }) }
}

const is = { workload: 'chat-gateway', environment: 'prod' }

/** Every source, each with what the payloads of tests speak of. */
export function configurationOf(over: { github?: object; argocd?: object; flux?: object } = {}) {
  return {
    github: {
      secretFiles: ['github-secret'],
      alerts: [{ secretType: 'rekey_gateway_key', credential: 'chat-gateway-key' }],
      deployments: [{ repository: 'Codertocat/Hello-World', environment: 'production', is }],
      ...over.github,
    },
    argocd: {
      secretFiles: ['argocd-token'],
      applications: [{ application: 'chat', is }],
      ...over.argocd,
    },
    flux: {
      secretFiles: ['flux-secret'],
      objects: [{ kind: 'Kustomization', namespace: 'apps', name: 'chat', is }],
      ...over.flux,
    },
  }
}

export function writeConfiguration(folder: ReturnType<typeof givenFolder>, over?: object): string {
  folder.file('github-secret', SECRET)
  folder.file('flux-secret', SECRET)
  folder.file('argocd-token', TOKEN)
  return folder.file('webhooks.yaml', JSON.stringify(configurationOf(over)))
}

/** A logger that keeps what it would have printed. */
export function keptLog(): { logger: Logger; lines: string[] } {
  const lines: string[] = []
  const logger = createLogger({ service: 'webhooks' })
  logger.level = 'silent'
  const keep = (level: string) => (what: unknown, sentence?: string) =>
    void lines.push(`${level} ${sentence ?? ''} ${print(what)}`)
  for (const level of ['info', 'warn', 'error'] as const) logger[level] = keep(level) as Logger['info']
  return { logger, lines }
}

function print(what: unknown): string {
  return JSON.stringify(what, (_key, value) =>
    value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value,
  )
}

/** The server alone: what it would publish and keep is collected. */
export function givenServer(options: { changesPerMinute?: number } = {}) {
  const folder = givenFolder()
  const { logger, lines } = keptLog()
  const { sources } = readSources(writeConfiguration(folder), logger)
  const published: { emitter: string; event: CloudEvent }[] = []
  const reports: Report[] = []
  const world: { publish: () => unknown; take: () => boolean } = {
    publish: () => undefined,
    take: () => true,
  }
  const app = buildWebhooks({
    sources,
    logger,
    changesPerMinute: options.changesPerMinute ?? 10_000,
    publish: async (emitter, event) => {
      await world.publish()
      published.push({ emitter, event })
    },
    reports: {
      take: async (report) => {
        if (!world.take()) return false
        reports.push(report)
        return true
      },
    },
  })
  return {
    app,
    lines,
    published,
    reports,
    world,
    async end() {
      await app.close()
      folder.end()
    },
  }
}
