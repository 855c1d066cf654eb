import { type Document, Document as DocumentSchema } from '@rekey/contracts'

const apiVersion = 'rekey.dev/v1'

export type CredentialNames = { credential: string; workload: string; nodes: string[] }

/** Credential number `index`, with a workload and nodes of its own. */
export function namesOf(index: number, nodesEach: number): CredentialNames {
  const number = String(index).padStart(5, '0')
  return {
    credential: `key-${number}`,
    workload: `chat-${number}`,
    nodes: Array.from({ length: nodesEach }, (_, n) => `node-${number}-${n + 1}`),
  }
}

export function workloadOf({ workload }: CredentialNames): Document {
  return DocumentSchema.parse({
    apiVersion,
    kind: 'Workload',
    metadata: { name: workload },
    spec: {
      spiffeId: `spiffe://example.org/${workload}`,
      environment: 'prod',
      owner: 'team-bench',
      zone: 'zone-0',
    },
  })
}

/** Two stores. No pause of the plan's own: what is left of a rotation's time is Rekey's. */
export function credentialOf({ credential, workload }: CredentialNames, rollout: object = {}): Document[] {
  return [
    {
      apiVersion,
      kind: 'Credential',
      metadata: { name: credential },
      spec: {
        workload,
        purpose: 'api-key',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gateway', url: 'http://127.0.0.1:1/v1/models' }] },
        stores: [
          { name: 'vault', kind: 'vault-kv', path: `bench/${credential}` },
          {
            name: 'aws',
            kind: 'aws-secrets-manager',
            region: 'eu-central-1',
            secretId: `bench/${credential}`,
          },
        ],
        rollout: { settleMs: 0, quietMs: 0, readerCacheMs: 0, ...rollout },
      },
    },
    {
      apiVersion,
      kind: 'Rule',
      metadata: { name: `zone-of-${workload}` },
      spec: { when: { change: ['zonechanged'], workload }, rotate: [credential] },
    },
  ].map((document) => DocumentSchema.parse(document))
}
