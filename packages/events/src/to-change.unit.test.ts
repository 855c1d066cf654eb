import { readFileSync } from 'node:fs'
import type { Change, Leak } from '@rekey/core'
import { describe, expect, test } from 'vitest'
import type { CloudEvent } from './cloud-event.ts'
import { newEvent } from './new-event.ts'
import { toChange } from './to-change.ts'

type Data = {
  context: Record<string, unknown> & { id: string; source: string; type: string }
  subject: Record<string, unknown> & { id: string; content: Record<string, unknown> }
  customData?: unknown
}

function sample(name: string): Data {
  return JSON.parse(readFileSync(new URL(`../test-data/${name}.json`, import.meta.url), 'utf8'))
}

/** The CloudEvent around a CDEvent, as CDEvents' binding says. */
function around(data: Data): CloudEvent {
  const { id, source, type } = data.context
  return { specversion: '1.0', id, source, type, extensions: {}, data }
}

const artifact = 'pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427'

/** The same event as CDEvents 0.4.1 writes it: `version`, older types, and the subject's type. */
function as04({ context: { specversion: _, ...context }, subject, ...rest }: Data): Data {
  const type = context.type.replace('.0.3.0', '.0.2.0')
  const [, , subjectType] = type.split('.')
  return {
    context: { ...context, version: '0.4.1', type },
    subject: { ...subject, type: subjectType },
    ...rest,
  }
}

const custom: Data = {
  context: {
    specversion: '0.5.1',
    id: 'e-1',
    source: '/ci',
    type: 'dev.cdeventsx.rekey-workload.zonechanged.0.1.0',
    timestamp: '2026-11-21T10:00:00Z',
  },
  subject: { id: 'chat-gateway', content: { environment: 'prod', zone: 'eu-central-1b' } },
}

describe('toChange reads CDEvents', () => {
  test('a leak as the first version of its type said it, which has no fingerprint', () => {
    const leaked: Data = {
      context: { ...custom.context, type: 'dev.cdeventsx.rekey-credential.leaked.0.1.0' },
      subject: { id: 'chat-gateway-key', content: { where: 'a build log', generation: 2 } },
    }
    expect(toChange(around(leaked))).toMatchObject({
      change: {
        type: 'credential.leaked',
        credential: 'chat-gateway-key',
        where: 'a build log',
        generation: 2,
      },
    })
    const content = { where: 'a build log', fingerprint: FINGERPRINT }
    expect(toChange(around({ ...leaked, subject: { id: 'key', content } }))).toMatchObject({ ok: false })
  })

  test.each(['deployed', 'upgraded'])('service.%s of 0.5.1 and 0.4.1', (verb) => {
    const data = sample(`service_${verb}`)
    const change = {
      type: `service.${verb}`,
      workload: 'mySubject123',
      environment: 'test123',
      facts: { artifact },
    }
    expect(toChange(around(data))).toEqual({ ok: true, change: { ...change, at: expect.any(Number) } })
    expect(toChange(around(as04(data)))).toEqual({ ok: true, change: { ...change, at: expect.any(Number) } })
  })

  test('environment.modified of 0.5.1 and 0.4.1, where it says which workload it is about', () => {
    const rekey = { workload: 'chat-gateway', zone: 'eu-central-1b' }
    const data = { ...sample('environment_modified'), customData: { rekey, theirs: 1 } }
    const change = {
      type: 'environment.modified',
      workload: 'chat-gateway',
      environment: 'mySubject123',
      facts: { zone: 'eu-central-1b' },
    }
    expect(toChange(around(data))).toEqual({ ok: true, change: { ...change, at: expect.any(Number) } })
    expect(toChange(around(as04(data)))).toEqual({ ok: true, change: { ...change, at: expect.any(Number) } })
  })

  test('what customData.rekey adds to a deployment, and nobody else in customData', () => {
    const customData = {
      rekey: { workload: 'chat-gateway', dataset: 'v2' },
      zone: 'theirs',
      vendor: { x: 1 },
    }
    expect(toChange(around({ ...sample('service_deployed'), customData }))).toMatchObject({
      change: { workload: 'chat-gateway', facts: { artifact, dataset: 'v2' } },
    })
  })

  test('base64 custom data, which is left alone', () => {
    expect(toChange(around({ ...sample('service_deployed'), customData: 'e30=' }))).toMatchObject({
      ok: true,
    })
  })

  test('our own event', () => {
    expect(toChange(around(custom))).toEqual({
      ok: true,
      change: {
        type: 'zonechanged',
        workload: 'chat-gateway',
        environment: 'prod',
        facts: { zone: 'eu-central-1b' },
        at: Date.parse('2026-11-21T10:00:00Z'),
      },
    })
  })
})

const withContext = (context: object): Data => ({ ...custom, context: { ...custom.context, ...context } })
const withContent = (content: object): Data => ({
  ...custom,
  subject: { ...custom.subject, content: content as never },
})
const deployed = sample('service_deployed')

describe('toChange refuses, naming the field', () => {
  test.each<[string, CloudEvent, string]>([
    ['no data', { ...around(custom), data: undefined }, 'data: must be a JSON object, a CDEvent'],
    ['data without a context', { ...around(custom), data: {} }, 'data.context: must be an object'],
    [
      'an id that disagrees',
      { ...around(custom), id: 'other' },
      "data.context.id and the CloudEvent's id disagree",
    ],
    [
      'a source that disagrees',
      { ...around(custom), source: '/other' },
      "data.context.source and the CloudEvent's source disagree",
    ],
    [
      'a type that disagrees',
      { ...around(custom), type: 'dev.cdevents.service.deployed.0.3.0' },
      "data.context.type and the CloudEvent's type disagree",
    ],
    [
      'a subject that disagrees',
      { ...around(custom), subject: 'other' },
      "data.subject.id and the CloudEvent's subject disagree",
    ],
    [
      'an event that is no change',
      around(withContext({ type: 'dev.cdevents.build.started.0.3.0' })),
      'type: dev.cdevents.build.started is not a change that Rekey knows',
    ],
    [
      "CDEvents' own custom sample",
      around(sample('custom')),
      'type: dev.cdeventsx.mytool-resource.created is not a change that Rekey knows',
    ],
    [
      'a type that is no CDEvents type',
      around(withContext({ type: 'com.github.push' })),
      'type: not a CDEvents type with a version',
    ],
    [
      'a type named like a property of every object',
      around(withContext({ type: 'dev.cdevents.service.deployed.9.9.9' })),
      'type: version 9.9.9 of dev.cdevents.service.deployed is not supported, only 0.3.0 and 0.2.0',
    ],
    [
      'an unknown CDEvents version',
      around(withContext({ specversion: '0.6.0' })),
      'data.context.specversion: CDEvents 0.6.0 is not supported with this type, only 0.5.1',
    ],
    [
      'a type of 0.5.1 in an event of 0.4.1',
      around({ ...deployed, context: { ...deployed.context, specversion: undefined, version: '0.4.1' } }),
      'data.context.specversion: CDEvents 0.4.1 is not supported with this type, only 0.5.1',
    ],
    [
      'a type of 0.4.1 in an event of 0.5.1',
      around({ ...deployed, context: { ...deployed.context, type: 'dev.cdevents.service.deployed.0.2.0' } }),
      'data.context.version: CDEvents 0.5.1 is not supported with this type, only 0.4.1',
    ],
    [
      'no version at all',
      around(withContext({ specversion: undefined })),
      'data.context.specversion: must be 0.5.1 for this type',
    ],
    [
      'a version that is no version, without repeating it',
      around(withContext({ specversion: 'hunter2' })),
      'data.context.specversion: must be 0.5.1 for this type',
    ],
    ['no timestamp', around(withContext({ timestamp: undefined })), 'data.context.timestamp is missing'],
    [
      'a bad timestamp',
      around(withContext({ timestamp: 'noon' })),
      'data.context.timestamp: is not a valid datetime',
    ],
    ['a missing zone', around(withContent({ environment: 'prod' })), 'data.subject.content.zone is missing'],
    [
      'a zone of another type',
      around(withContent({ environment: 'prod', zone: 7 })),
      'data.subject.content.zone: must be a string',
    ],
    [
      'an empty zone',
      around(withContent({ environment: 'prod', zone: '' })),
      'data.subject.content.zone: is empty',
    ],
    [
      'a long zone',
      around(withContent({ environment: 'prod', zone: 'x'.repeat(201) })),
      'data.subject.content.zone: is longer than 200',
    ],
    [
      'a zone with a NUL, which the ledger cannot store',
      around(withContent({ environment: 'prod', zone: 'a\0' })),
      'data.subject.content.zone: holds control or invalid characters',
    ],
    [
      'a field too many, without repeating its name',
      around(withContent({ environment: 'prod', zone: 'a', hunter2: 1 })),
      'data.subject.content: holds a field that its schema does not have',
    ],
    [
      'a deployment without an artifact',
      around({ ...deployed, subject: { id: 'x', content: { environment: { id: 'prod' } } } }),
      'data.subject.content.artifactId is missing',
    ],
    [
      'an environment that does not say which workload it is about',
      around(sample('environment_modified')),
      'data.customData is missing',
    ],
    [
      'customData.rekey without a workload there',
      around({ ...sample('environment_modified'), customData: { rekey: {} } }),
      'data.customData.rekey.workload is missing',
    ],
    [
      'a typo in customData.rekey',
      around({ ...deployed, customData: { rekey: { workload: 7 } } }),
      'data.customData.rekey.workload: must be a string',
    ],
  ])('%s', (_, event, reason) => {
    expect(toChange(event)).toEqual({ ok: false, reason })
  })

  test.each(['dev.cdevents.constructor.toString.0.1.0', 'dev.cdevents.service.deployed.0.3'])(
    '%s',
    (type) => {
      expect(toChange(around(withContext({ type })))).toMatchObject({ ok: false })
    },
  )
})

const FINGERPRINT = `vault:v1:${'A'.repeat(43)}=`

describe('newEvent', () => {
  const origin = { id: 'e-1', source: '/ci/chat', at: new Date('2026-11-21T10:00:00Z') }
  const here = { workload: 'chat-gateway', environment: 'prod' }

  test.each<Change>([
    { type: 'service.deployed', ...here, facts: { artifact: 'pkg:oci/chat@2' } },
    { type: 'service.upgraded', ...here, facts: { artifact: 'pkg:oci/chat@2', dataset: 'v2' } },
    { type: 'environment.modified', ...here, facts: {} },
    { type: 'environment.modified', ...here, facts: { zone: 'b', vendor: 'umbrella' } },
    { type: 'vendorchanged', ...here, facts: { vendor: 'umbrella' } },
    { type: 'datasetchanged', ...here, facts: { dataset: 'v2' } },
    { type: 'zonechanged', ...here, facts: { zone: 'b' } },
  ])('$type is read back as it was said', (change) => {
    expect(toChange(newEvent(change, origin))).toEqual({
      ok: true,
      change: { ...change, at: expect.any(Number) },
    })
  })

  test.each<Leak>([
    { type: 'credential.leaked', credential: 'chat-gateway-key', where: 'a build log' },
    { type: 'credential.leaked', credential: 'chat-gateway-key', where: 'a build log', generation: 2 },
    {
      type: 'credential.leaked',
      credential: 'github/octo/chat/42',
      where: 'an alert',
      fingerprint: FINGERPRINT,
    },
  ])('a leak is read back as it was said', (leak) => {
    const said = newEvent(leak, origin)
    expect(said.type).toBe('dev.cdeventsx.rekey-credential.leaked.0.2.0')
    expect(toChange(said)).toEqual({ ok: true, change: { ...leak, at: Date.parse('2026-11-21T10:00:00Z') } })
  })

  test('a value in place of a fingerprint is refused, and not repeated', () => {
    const leak: Leak = {
      type: 'credential.leaked',
      credential: 'key',
      where: 'here',
      fingerprint: 'hunter2hunter2',
    }
    expect(() => newEvent(leak, origin)).toThrow('data.subject.content.fingerprint')
    expect(() => newEvent(leak, origin)).not.toThrow('hunter2')
  })

  test.each<[string, Change]>([
    ['environment', { type: 'zonechanged', workload: 'w', facts: { zone: 'b' } }],
    ['artifact', { type: 'service.deployed', ...here, facts: {} }],
    ['zone', { type: 'zonechanged', ...here, facts: {} }],
    ['content', { type: 'zonechanged', ...here, facts: { zone: 'b', vendor: 'x' } }],
  ])('refuses what it cannot say: %s', (field, change) => {
    expect(() => newEvent(change, origin)).toThrow(expect.objectContaining({ code: 'invalid_event' }))
    expect(() => newEvent(change, origin)).toThrow(field)
  })
})
