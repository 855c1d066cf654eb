import { describe, expect, test } from 'vitest'
import { argocdPayload, fluxPayload, type Json } from '../../test/payloads.ts'
import { eventOf } from '../event.ts'
import { Refusal } from '../problem.ts'
import type { Source } from '../source.ts'
import { argocd } from './argocd.ts'
import { flux } from './flux.ts'

const is = { workload: 'chat-gateway', environment: 'prod' }

function hearing(source: Source, mapping: object) {
  const section = source.section.parse({ secretFiles: ['x'], ...mapping })
  return (body: unknown) => source.hear({ header: () => undefined, body, receivedAt: new Date(0) }, section)
}

describe('Argo CD', () => {
  const hear = hearing(argocd, { applications: [{ application: 'chat', is }] })

  test('a sync that is done is a deployment of the workload that the application stands for', () => {
    const heard = hear(argocdPayload())
    expect(heard).toEqual({
      kind: 'change',
      change: {
        type: 'service.deployed',
        ...is,
        facts: { artifact: '731f7eaddfb6af01cb2173e18f0f75b0ba780ef1' },
      },
      origin: {
        source: '/argocd/argocd/chat',
        name: 'sync/2026-11-21T09:00:00.000Z',
        at: new Date('2026-11-21T09:00:00Z'),
      },
    })
    if (heard.kind === 'change')
      expect(eventOf(heard.change, heard.origin).type).toBe('dev.cdevents.service.deployed.0.3.0')
  })

  test.each<[string, Json, string]>([
    ['that failed', { phase: 'Failed' }, 'Failed'],
    ['of another application', { application: 'billing' }, 'argocd/billing'],
    ['of another namespace', { namespace: 'team-b' }, 'team-b/chat'],
    ['without one revision', { revision: '<no value>' }, 'no revision'],
  ])('a sync %s is ignored, and says why', (_what, over, why) => {
    expect(hear(argocdPayload(over))).toEqual({ kind: 'ignored', why: expect.stringContaining(why) })
  })

  test.each<[string, Json]>([
    ['no time', { finishedAt: '<no value>' }],
    ['no application', { application: undefined }],
    ['a revision that steers terminals', { revision: '\u001b[2J' }],
  ])('a sync with %s is refused by the name of the field', (_what, over) => {
    expect(() => hear(argocdPayload(over))).toThrow(Refusal)
    expect(() => hear(argocdPayload(over))).toThrow(Object.keys(over)[0])
  })
})

describe('Flux', () => {
  const hear = hearing(flux, {
    objects: [
      { kind: 'Kustomization', namespace: 'apps', name: 'chat', is },
      { kind: 'HelmRelease', namespace: 'apps', name: 'chat', is },
    ],
  })
  const helm = (reason: string, over: Json = {}) =>
    fluxPayload({
      involvedObject: { kind: 'HelmRelease', namespace: 'apps', name: 'chat' },
      metadata: { 'helm.toolkit.fluxcd.io/revision': '6.5.0' },
      reason,
      ...over,
    })

  test('a reconciliation that is done is a deployment of the revision', () => {
    expect(hear(fluxPayload())).toEqual({
      kind: 'change',
      change: {
        type: 'service.deployed',
        ...is,
        facts: { artifact: 'main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1' },
      },
      origin: {
        source: '/flux/Kustomization/apps/chat',
        name: 'ReconciliationSucceeded/2026-11-21T09:00:00.000Z',
        at: new Date('2026-11-21T09:00:00Z'),
      },
    })
  })

  test('a release is deployed or upgraded, also with bare names of metadata', () => {
    expect(hear(helm('InstallSucceeded'))).toMatchObject({
      change: { type: 'service.deployed', facts: { artifact: '6.5.0' } },
    })
    expect(hear(helm('UpgradeSucceeded', { metadata: { revision: '6.6.0' } }))).toMatchObject({
      change: { type: 'service.upgraded', facts: { artifact: '6.6.0' } },
    })
  })

  test.each<[string, Json, string]>([
    ['an error', fluxPayload({ severity: 'error', reason: 'ValidationFailed' }), 'ValidationFailed'],
    ['a test', helm('TestSucceeded'), 'TestSucceeded of a HelmRelease'],
    ['a reason of another kind', fluxPayload({ reason: 'UpgradeSucceeded' }), 'UpgradeSucceeded'],
    ['a name of every object', fluxPayload({ reason: 'constructor' }), 'constructor'],
    ['without a revision', fluxPayload({ metadata: null }), 'no revision'],
    [
      'another object',
      fluxPayload({ involvedObject: { kind: 'Kustomization', namespace: 'apps', name: 'billing' } }),
      'Kustomization/apps/billing',
    ],
  ])('%s is ignored, and says why', (_what, body, why) => {
    expect(hear(body)).toEqual({ kind: 'ignored', why: expect.stringContaining(why) })
  })

  test('what is no event of Flux is refused', () => {
    for (const body of [
      {},
      null,
      [],
      'x',
      fluxPayload({ involvedObject: 1 }),
      fluxPayload({ timestamp: 'now' }),
    ])
      expect(() => hear(body)).toThrow(Refusal)
  })
})
