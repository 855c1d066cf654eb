import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { newEvent } from './new-event.ts'
import * as schemas from './schemas.ts'
import { toChange } from './to-change.ts'

/** Against the release itself, where it lies beside the checkout (or where CDEVENTS_RELEASE says). */
const release =
  process.env.CDEVENTS_RELEASE ?? new URL('../../../../shared/data/cdevents-v0.5.1', import.meta.url).pathname
const isThere = existsSync(release)
if (!isThere) console.warn(`SKIPPED: no CDEvents release at CDEVENTS_RELEASE (${release})`)

const read = (path: string) => JSON.parse(readFileSync(join(release, path), 'utf8'))

function ajv() {
  const validator = new Ajv2020({ strict: false })
  addFormats.default(validator)
  for (const name of readdirSync(join(release, 'schemas/links'))) {
    validator.addSchema(read(`schemas/links/${name}`))
  }
  return validator
}

describe.skipIf(!isThere)('the CDEvents 0.5.1 release', () => {
  const at = new Date('2026-11-21T10:00:00Z')
  const here = { workload: 'chat-gateway', environment: 'prod' }

  test('has no sample that is taken for a change which it is not', () => {
    const taken = readdirSync(join(release, 'conformance')).filter((name) => {
      const data = read(`conformance/${name}`)
      const { id, source, type } = data.context
      return toChange({ specversion: '1.0', id, source, type, extensions: {}, data }).ok
    })
    expect(taken).toEqual(['service_deployed.json', 'service_upgraded.json'])
  })

  test.each([
    [
      'schemas/servicedeployed.json',
      { type: 'service.deployed', ...here, facts: { artifact: 'pkg:oci/c@2' } },
    ],
    [
      'schemas/serviceupgraded.json',
      { type: 'service.upgraded', ...here, facts: { artifact: 'pkg:oci/c@2' } },
    ],
    ['schemas/environmentmodified.json', { type: 'environment.modified', ...here, facts: { zone: 'b' } }],
    ['custom/schema.json', { type: 'zonechanged', ...here, facts: { zone: 'b' } }],
    ['custom/schema.json', { type: 'vendorchanged', ...here, facts: { vendor: 'umbrella' } }],
    ['custom/schema.json', { type: 'datasetchanged', ...here, facts: { dataset: 'v2' } }],
  ] as const)('%s accepts our $1.type', (schema, change) => {
    const validate = ajv().compile(read(schema))
    validate(newEvent(change, { id: 'e-1', source: '/ci', at }).data)
    expect(validate.errors).toBeNull()
  })

  test('refuses and accepts the same damaged deployments as our schema', () => {
    const validate = ajv().compile(read('schemas/servicedeployed.json'))
    const disagreements: string[] = []
    let refused = 0
    let tried = 0
    for (const { what, data } of damaged(read('conformance/service_deployed.json'))) {
      tried += 1
      // Custom data, sizes and the depth of links are ours to limit, and are not among the damages.
      const theirs = validate(data)
      const ours = schemas.service05.safeParse(data).success
      if (!theirs) refused += 1
      if (theirs !== ours) disagreements.push(what)
    }
    expect(disagreements).toEqual([])
    expect(tried).toBeGreaterThan(60)
    expect(refused).toBeGreaterThan(40)
  })
})

/** Each member outside the links left out, emptied, made a number, null, an object, and given a sibling. */
function* damaged(sample: unknown): Generator<{ what: string; data: unknown }> {
  for (const path of paths(sample)) {
    for (const [how, value] of [
      ['left out', undefined],
      ['empty', ''],
      ['a number', 7],
      ['null', null],
      ['an object', {}],
    ] as const) {
      yield { what: `${path.join('.')} ${how}`, data: changed(sample, path, value) }
    }
    yield {
      what: `${path.join('.')} with a sibling`,
      data: changed(sample, [...path.slice(0, -1), 'extra'], 'x'),
    }
  }
}

function paths(json: unknown, at: string[] = []): string[][] {
  if (typeof json !== 'object' || json === null || at.at(-1) === 'links') return []
  return Object.entries(json).flatMap(([key, child]) => [[...at, key], ...paths(child, [...at, key])])
}

function changed(json: unknown, [key = '', ...rest]: string[], value: unknown): unknown {
  const copy = { ...(json as Record<string, unknown>) }
  if (rest.length > 0) copy[key] = changed(copy[key], rest, value)
  else if (value === undefined) delete copy[key]
  else copy[key] = value
  return copy
}
