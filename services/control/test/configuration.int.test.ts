import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { credential, DOCUMENTS, type GivenControl, givenControl, rule, workload } from './given-control.ts'

let control: GivenControl
beforeEach(async () => {
  control = await givenControl()
})
afterEach(() => control.close())

const apply = (documents: unknown[], really = true) =>
  control.post('configuration', { documents, apply: really })

/** Everything that a configuration can write. */
async function written(): Promise<unknown> {
  const { ledger } = control
  return {
    workloads: await ledger.listWorkloads(),
    rules: await ledger.listRules(),
    credentials: await ledger.listCredentials(),
    journal: await ledger.journal({}),
  }
}

test('shows what is new without writing it, then writes it and starts the first value', async () => {
  const nothing = await written()
  const shown = await apply(DOCUMENTS, false)
  expect(shown).toMatchObject({ status: 200, body: { applied: false } })
  expect(await written()).toEqual(nothing)

  const applied = await apply(DOCUMENTS)
  expect(applied.body).toMatchObject({
    applied: true,
    changes: [
      { kind: 'Workload', name: 'chat', action: 'create' },
      { kind: 'Credential', name: 'key', action: 'create', rotation: 'key-g1' },
      { kind: 'Rule', name: 'zone', action: 'create' },
    ],
  })
  const [entry] = await control.ledger.journal({ stream: 'configuration' })
  expect(entry?.actor).toBe('operator/ana')

  expect((await apply(DOCUMENTS)).body.changes).toMatchObject([
    { action: 'unchanged' },
    { action: 'unchanged' },
    { action: 'unchanged' },
  ])
})

test('says what a changed field was and will be', async () => {
  await apply(DOCUMENTS)
  const { body } = await apply([rule({ when: { change: ['vendorchanged'] } })], false)
  expect(body.changes).toMatchObject([
    {
      action: 'update',
      values: [
        { field: 'spec.when', before: { change: ['zonechanged'] }, after: { change: ['vendorchanged'] } },
      ],
    },
  ])
})

describe('wrong documents are named with their field, and nothing is written', () => {
  const stores = (spec: object) => [{ name: 'vault', kind: 'vault-kv', path: 'a/b', ...spec }]

  test.each<[string, unknown[], { kind: string | null; field: string; message: string | RegExp }[]]>([
    [
      'a rule that names an unknown credential',
      [workload(), credential(), rule({ rotate: ['keyy'] })],
      [{ kind: 'Rule', field: 'spec.rotate', message: 'names the unknown credential keyy' }],
    ],
    [
      'a credential of an unknown workload',
      [credential({ workload: 'chad' })],
      [{ kind: 'Credential', field: 'spec.workload', message: 'names the unknown workload chad' }],
    ],
    [
      'an unknown field',
      [workload(), credential({ rollout: { quietMillis: 5 } })],
      [{ kind: 'Credential', field: 'spec.rollout.quietMillis', message: 'there is no such field' }],
    ],
    [
      'a wrong type',
      [workload(), credential({ rollout: { quietMs: '5' } })],
      [{ kind: 'Credential', field: 'spec.rollout.quietMs', message: 'expected number, received string' }],
    ],
    [
      'a missing field and a wrong value at once',
      [workload({ owner: undefined }), credential({ stores: stores({ path: '../x' }) })],
      [
        { kind: 'Workload', field: 'spec.owner', message: 'is missing' },
        { kind: 'Credential', field: 'spec.stores.0.path', message: /use letters/ },
        { kind: 'Credential', field: 'spec.stores.0.path', message: /must not contain/ },
      ],
    ],
    [
      'an unknown kind',
      [{ ...workload(), kind: 'Workloads' }],
      [
        {
          kind: 'Workloads',
          field: 'kind',
          message: "expected 'Owner' | 'Workload' | 'Credential' | 'Rule'",
        },
      ],
    ],
    ['no document at all', ['x'], [{ kind: null, field: '', message: /expected object/ }]],
    [
      'a document that is given twice',
      [workload(), credential(), workload()],
      [{ kind: 'Workload', field: 'metadata.name', message: 'is given twice' }],
    ],
  ])('%s', async (_what, documents, expected) => {
    const nothing = await written()
    const { status, body } = await apply(documents)
    expect(status).toBe(422)
    expect(body).toMatchObject({
      code: 'invalid_configuration',
      faults: expected.map(({ kind, field, message }) => ({
        kind,
        field,
        message: typeof message === 'string' ? message : expect.stringMatching(message),
      })),
    })
    for (const { field } of expected)
      expect(body.detail).toContain(field === 'metadata.name' ? 'twice' : field)
    expect(await written()).toEqual(nothing)
  })

  test('a store of a live credential that is changed, beside an unknown reference', async () => {
    await apply(DOCUMENTS)
    const before = await written()
    const { status, body } = await apply([
      credential({ stores: stores({ path: 'c/d' }) }),
      rule({ rotate: ['nobody'] }),
    ])
    expect(status).toBe(422)
    expect(body.faults).toMatchObject([
      { document: 1, kind: 'Rule', name: 'zone', field: 'spec.rotate' },
      {
        document: 0,
        kind: 'Credential',
        name: 'key',
        field: 'spec.stores',
        message: 'cannot be changed once it exists; make a new one',
      },
    ])
    expect(await written()).toEqual(before)
  })
})
