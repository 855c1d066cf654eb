import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

export const SECRET = 'a-secret-that-only-tests-know'

export function signature(body: string | Buffer, secret = SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

export type Json = Record<string, unknown>
type Example = { name: string; examples: Json[] }

const require = createRequire(import.meta.url)

/** What GitHub sends, as the maintainers of its SDK collected it. */
export const GITHUB_EXAMPLES: Example[] = [
  require.resolve('@octokit/webhooks-examples/api.github.com/index.json'),
  // Only these hold alerts of secret scanning.
  require.resolve('@octokit/webhooks-examples/ghes-35/index.json'),
].flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Example[])

export function example(name: string): Json {
  const [first] = GITHUB_EXAMPLES.filter((one) => one.name === name).flatMap((one) => one.examples)
  if (!first) throw new Error(`there is no example of ${name}`)
  return structuredClone(first)
}

/** An alert as GitHub sends it now: with times, and without the value. */
export function alertPayload(over: { action?: string; alert?: Json; repository?: Json } = {}): Json {
  const { action = 'created', alert, repository } = over
  return {
    ...example('secret_scanning_alert'),
    action,
    alert: {
      number: 42,
      created_at: '2026-11-21T09:00:00Z',
      updated_at: '2026-11-21T09:00:01Z',
      html_url: 'https://github.com/octo/chat/security/secret-scanning/42',
      secret_type: 'rekey_gateway_key',
      secret_type_display_name: 'Rekey gateway key',
      validity: 'unknown',
      resolution: null,
      resolved_by: null,
      resolved_at: null,
      push_protection_bypassed: false,
      publicly_leaked: false,
      ...alert,
    },
    repository: { full_name: 'octo/chat', html_url: 'https://github.com/octo/chat', ...repository },
  }
}

export function fluxPayload(over: Json = {}): Json {
  return {
    involvedObject: {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      name: 'chat',
      namespace: 'apps',
      uid: '7d0cdc51-ddcf-4743-b223-83ca5c699632',
    },
    metadata: {
      'kustomize.toolkit.fluxcd.io/revision': 'main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1',
    },
    severity: 'info',
    reason: 'ReconciliationSucceeded',
    message: 'Reconciliation finished in 412ms, next run in 10m0s',
    reportingController: 'kustomize-controller',
    reportingInstance: 'kustomize-controller-7c7b47f5f-8bhrp',
    timestamp: '2026-11-21T09:00:00Z',
    ...over,
  }
}

export function argocdPayload(over: Json = {}): Json {
  return {
    application: 'chat',
    namespace: 'argocd',
    phase: 'Succeeded',
    revision: '731f7eaddfb6af01cb2173e18f0f75b0ba780ef1',
    finishedAt: '2026-11-21T09:00:00Z',
    ...over,
  }
}
