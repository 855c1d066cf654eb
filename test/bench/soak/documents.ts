const apiVersion = 'rekey.dev/v1'

/** One key of two gateways. Times are as short as its readers and streams bear, and no shorter. */
export function documentsOf(about: {
  credential: string
  workload: string
  path: string
  ports: Record<string, number>
  readerCacheMs: number
}): unknown[] {
  const { credential, workload, path, ports, readerCacheMs } = about
  const endpoints = Object.entries(ports).map(([name, port]) => ({
    name,
    url: `http://127.0.0.1:${port}/v1/models`,
  }))
  return [
    {
      apiVersion,
      kind: 'Workload',
      metadata: { name: workload },
      spec: { spiffeId: `spiffe://example.org/${workload}`, environment: 'prod', owner: 'team-bench' },
    },
    {
      apiVersion,
      kind: 'Credential',
      metadata: { name: credential },
      spec: {
        workload,
        purpose: 'api-key',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints },
        stores: [{ name: 'vault', kind: 'vault-kv', path }],
        rollout: {
          waves: [1, '100%'],
          settleMs: 0,
          quietMs: 250,
          readerCacheMs,
          waveDeadlineMs: 60_000,
          drainCapMs: 300_000,
        },
      },
    },
  ]
}
