import { type Document, Document as DocumentSchema } from '@rekey/contracts'
import { createDatabase } from '@rekey/local'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { type Ledger, migrate, openLedger } from './index.ts'

let ledger: Ledger

beforeEach(async () => {
  const url = await createDatabase(
    { postgres: { url: inject('stack').postgresUrl } },
    `ledger_${crypto.randomUUID().replaceAll('-', '')}`,
  )
  await migrate(url)
  ledger = openLedger({ url, name: 'test' })
  const apiVersion = 'rekey.dev/v1'
  const documents: Document[] = [
    {
      apiVersion,
      kind: 'Workload',
      metadata: { name: 'chat' },
      spec: { spiffeId: 'spiffe://example.org/chat', environment: 'prod', owner: 'team-ai' },
    },
    {
      apiVersion,
      kind: 'Credential',
      metadata: { name: 'key' },
      spec: {
        workload: 'chat',
        purpose: 'api',
        direction: 'inbound',
        authority: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://127.0.0.1:1/' }] },
        stores: [{ name: 'vault', kind: 'vault-kv', path: 'prod/key' }],
        firstValue: 'adopt',
      },
    },
  ].map((d) => DocumentSchema.parse(d))
  await ledger.configure(documents, { apply: true, actor: 'ana' })
})
afterEach(() => ledger.close())

const place = { kind: 'vault-kv', mount: 'secret', prefix: '' } as const
const listed = (...names: string[]) => [
  { place, names: names.map((name) => ({ name, changedAt: null })), error: null },
]

test('a scan is asked for once by all who ask, and answered for all of them', async () => {
  const asked = await Promise.all(['ana', 'ben', 'cem'].map((actor) => ledger.askScan(actor)))
  expect(new Set(asked.map(({ id }) => id)).size).toBe(1)
  const id = asked[0]?.id ?? 0
  const taken = await ledger.takeScan(60_000)
  expect(taken).toMatchObject({ id, attempt: 1, places: [place] })
  expect(await ledger.takeScan(60_000)).toBeUndefined()
  expect(await ledger.showScan(id)).toMatchObject({ finishedAt: null, found: null })
  await ledger.recordScan({ id, attempt: 1 }, listed('legacy'))
  expect(await ledger.showScan(id)).toMatchObject({
    finishedAt: expect.any(String),
    found: {
      ungoverned: [{ name: 'legacy', owner: 'unknown' }],
      missing: [{ credential: 'key', owner: 'team-ai', store: 'vault', name: 'prod/key' }],
    },
  })
  expect((await ledger.askScan('ana')).id).toBeGreaterThan(id)
})

test('a scan of a killed rotator is done by another one, and the late answer changes nothing', async () => {
  const { id } = await ledger.askScan('ana')
  expect(await ledger.takeScan(0)).toMatchObject({ attempt: 1 })
  expect(await ledger.takeScan(60_000)).toMatchObject({ attempt: 2 })
  await ledger.recordScan({ id, attempt: 1 }, listed('late'))
  expect(await ledger.showScan(id)).toMatchObject({ finishedAt: null })
  await ledger.recordScan({ id, attempt: 2 }, listed('prod/key'))
  await ledger.recordScan({ id, attempt: 2 }, listed('again'))
  expect((await ledger.showScan(id)).found).toMatchObject({ governed: 1, ungoverned: [], missing: [] })
})

test('only the last scans are kept', async () => {
  for (let n = 0; n < 22; n++) {
    const { id } = await ledger.askScan('ana')
    await ledger.takeScan(60_000)
    await ledger.recordScan({ id, attempt: 1 }, listed())
  }
  await expect(ledger.showScan(1)).rejects.toMatchObject({ code: 'not_found' })
})
