import { afterEach, beforeEach, expect, test } from 'vitest'
import { credential, type GivenControl, givenControl, rule, workload } from './given-control.ts'
import { scriptedWorkers } from './scripted-workers.ts'

let control: GivenControl
beforeEach(async () => {
  control = await givenControl()
})
afterEach(() => control.close())

const DOCUMENTS = [workload(), credential({ firstValue: 'adopt' }), rule()]
const adopt = (headers?: Record<string, string>) =>
  control.post('credentials/key/adopt', { reason: 'moving under Rekey', ticket: 'OPS-12' }, headers)

test('a credential is adopted by an order, once, under the name of who gave it', async () => {
  const { body } = await control.post('configuration', { documents: DOCUMENTS, apply: true })
  expect(body.changes).toContainEqual(expect.objectContaining({ kind: 'Credential', awaitsAdoption: true }))
  expect(await control.post('credentials/key/rotate', { reason: 'too soon' })).toMatchObject({
    status: 409,
    body: { code: 'not_allowed_now', detail: expect.stringContaining('rekey adopt key') },
  })
  const key = { 'idempotency-key': 'k1' }
  const first = await adopt(key)
  expect(first).toEqual({ status: 200, body: { rotation: 'key-g1', how: 'opened' } })
  expect(await adopt(key)).toEqual(first)
  expect(await adopt()).toMatchObject({ status: 409, body: { code: 'not_allowed_now' } })
  const [entry] = await control.ledger.journal({ stream: 'credential/key' })
  expect(entry).toMatchObject({ type: 'AdoptionOrdered', actor: 'operator/ana', data: { ticket: 'OPS-12' } })
  const workers = scriptedWorkers(control.ledger)
  await expect
    .poll(async () => (await control.ledger.showRotation('key-g1')).outcome, { timeout: 30_000 })
    .toBe('closed')
  await workers.stop()
  expect(await control.get('credentials/key')).toMatchObject({ body: { currentGeneration: 1 } })
})

test('what a document asks of a kind that cannot is said with its field', async () => {
  const outbound = credential({
    direction: 'outbound',
    authority: { kind: 'aws-iam-access-key', user: 'reports' },
    firstValue: 'adopt',
  })
  const { status, body } = await control.post('configuration', {
    documents: [workload(), outbound],
    apply: true,
  })
  expect(status).toBe(422)
  expect(JSON.stringify(body)).toContain('Rekey makes a key of its own beside the one that there is')
  expect(JSON.stringify(body)).toContain('firstValue')
})

test('a scan is asked for, and answered when a rotator has looked', async () => {
  await control.post('configuration', { documents: DOCUMENTS, apply: true })
  const asked = await control.post('inventory/scans', {})
  expect(asked).toMatchObject({ status: 200, body: { askedBy: 'operator/ana', found: null } })
  const { id } = asked.body
  expect(await control.post('inventory/scans', {})).toMatchObject({ body: { id } })
  const taken = await control.ledger.takeScan(60_000)
  expect(taken?.places).toEqual([{ kind: 'vault-kv', mount: 'secret', prefix: '' }])
  await control.ledger.recordScan({ id: Number(id), attempt: 1 }, [
    {
      place: { kind: 'vault-kv', mount: 'secret', prefix: '' },
      names: [{ name: 'stray', changedAt: null }],
      error: null,
    },
  ])
  expect(await control.get(`inventory/scans/${id}`)).toMatchObject({
    body: { found: { ungoverned: [{ name: 'stray', owner: 'unknown' }], missing: [{ name: 'a/b' }] } },
  })
  for (const no of ['9999', 'x']) expect((await control.get(`inventory/scans/${no}`)).status).toBe(404)
})
