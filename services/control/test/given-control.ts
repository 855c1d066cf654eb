import { Secret } from '@rekey/contracts'
import { type Ledger, migrate, openLedger } from '@rekey/ledger'
import { createDatabase } from '@rekey/local'
import { createLogger } from '@rekey/runtime'
import { inject } from 'vitest'
import { buildControl, type ControlOptions } from '../src/control.ts'

export const TOKEN = 'a-token-that-only-tests-know'

export type GivenControl = {
  url: string
  ledger: Ledger
  databaseUrl: string
  post(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, unknown> }>
  get(path: string): Promise<{ status: number; body: unknown }>
  close(): Promise<void>
}

/** Control with its own database on the real server, reachable over HTTP. */
export async function givenControl(
  options: Omit<ControlOptions, 'ledger' | 'logger' | 'heartbeatMs'> = {},
): Promise<GivenControl> {
  const name = `control_${crypto.randomUUID().replaceAll('-', '')}`
  const databaseUrl = await createDatabase({ postgres: { url: inject('stack').postgresUrl } }, name)
  await migrate(databaseUrl)
  const ledger = openLedger({ url: databaseUrl, name: 'control' })
  const logger = createLogger({ service: 'control' })
  logger.level = 'silent'
  const app = await buildControl({ ledger, token: Secret.of(TOKEN), logger, heartbeatMs: 500, ...options })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const headers = { authorization: `Bearer ${TOKEN}`, 'x-rekey-actor': 'ana' }
  return {
    url,
    ledger,
    databaseUrl,
    async post(path, body, more = {}) {
      const response = await fetch(`${url}/v1/${path}`, {
        method: 'POST',
        headers: { ...headers, ...more, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
    async get(path) {
      const response = await fetch(`${url}/v1/${path}`, { headers })
      return { status: response.status, body: await response.json() }
    },
    async close() {
      await app.close()
      await ledger.close()
    },
  }
}

const at = (kind: string, name: string, spec: object) => ({
  apiVersion: 'rekey.dev/v1',
  kind,
  metadata: { name },
  spec,
})

export const workload = (spec: object = {}) =>
  at('Workload', 'chat', {
    spiffeId: 'spiffe://example.org/chat',
    environment: 'prod',
    owner: 'team',
    zone: 'a',
    ...spec,
  })

export const credential = (spec: object = {}) =>
  at('Credential', 'key', {
    workload: 'chat',
    purpose: 'api',
    direction: 'inbound',
    authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
    stores: [{ name: 'vault', kind: 'vault-kv', path: 'a/b' }],
    rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, waveDeadlineMs: 60_000, evidenceMs: 60_000 },
    ...spec,
  })

export const rule = (spec: object = {}) =>
  at('Rule', 'zone', { when: { change: ['zonechanged'] }, rotate: ['key'], ...spec })

export const DOCUMENTS = [workload(), credential(), rule()]
