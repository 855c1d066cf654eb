import type { Mode } from '@rekey/core'
import type { KnocksTold, NoticedEntry } from '@rekey/ledger'
import { describe, expect, test } from 'vitest'
import { noticeOf } from './notice.ts'

const cause = { kind: 'order', actor: 'operator/ana', reason: 'in a build log' } as const
const hold = { reason: 'wave_deadline', about: 'r7', detail: 'gw-2 owes its proof', at: 1 } as const

const noticed = (event: object, mode: Mode = 'rotate', knocks: KnocksTold = 'warning') =>
  noticeOf({
    position: 9,
    event: event as NoticedEntry['event'],
    actor: 'operator/ana',
    at: '2026-11-22T03:00:00.000Z',
    rotation: 'key-g2',
    credential: 'key',
    mode,
    knocks,
    workload: 'chat',
    environment: 'prod',
    owner: 'team-ai',
  })

const opened = (mode: Mode) => ({ type: 'RotationOpened', mode, compromised: [1], cause, credential: 'key' })

describe('an owner is told', () => {
  test.each<[string, object, Mode, string, string, boolean, string]>([
    [
      'of a leak',
      opened('expedite'),
      'expedite',
      'critical',
      'key-g2/emergency',
      false,
      'generation 1 of key leaked',
    ],
    [
      'of a containment',
      opened('contain'),
      'contain',
      'critical',
      'key-g2/emergency',
      false,
      'requests with it fail',
    ],
    [
      'that a rotation under way became one',
      { type: 'ModeRaised', mode: 'contain', because: 'it is used by a stranger' },
      'contain',
      'critical',
      'key-g2/emergency',
      false,
      'contain from here on',
    ],
    [
      'what else leaked',
      { type: 'GenerationsCompromised', generations: [2], actor: 'operator/ben', reason: 'too' },
      'expedite',
      'critical',
      'key-g2/emergency',
      false,
      'generation 2 of key leaked, says operator/ben: too',
    ],
    [
      'of a hold',
      { type: 'HoldPlaced', hold },
      'rotate',
      'warning',
      'key-g2/wave_deadline/r7',
      false,
      'gw-2 owes its proof',
    ],
    [
      'of a hold of an emergency',
      { type: 'HoldPlaced', hold },
      'contain',
      'critical',
      'key-g2/wave_deadline/r7',
      false,
      'held',
    ],
    [
      'that a hold is over',
      { type: 'HoldLifted', reason: 'wave_deadline', about: 'r7', because: 'gw-2 is back' },
      'rotate',
      'warning',
      'key-g2/wave_deadline/r7',
      true,
      'no longer held (wave deadline): gw-2 is back',
    ],
    [
      'that it was rolled back',
      { type: 'RotationClosed', outcome: 'rolled-back', exceptions: [] },
      'rotate',
      'warning',
      'key-g2/end',
      false,
      'key-g2 ended: rolled-back',
    ],
    [
      'that an emergency is over',
      { type: 'RotationClosed', outcome: 'closed', exceptions: [] },
      'contain',
      'critical',
      'key-g2/emergency',
      true,
      'key-g2 ended: closed',
    ],
    [
      'what an emergency could not show, and that stays open',
      { type: 'RotationClosed', outcome: 'closed', exceptions: ['no_positive_control'] },
      'contain',
      'critical',
      'key-g2/emergency',
      false,
      'but not everything was shown: no_positive_control',
    ],
  ])('%s', (_name, event, mode, severity, about, resolves, words) => {
    const notice = noticed(event, mode)
    expect(notice).toMatchObject({ severity, about, resolves, owner: 'team-ai', position: 9 })
    expect(notice?.summary).toContain(words)
  })

  test.each<[string, object]>([
    ['that it opened', opened('rotate')],
    ['that it ended as it should', { type: 'RotationClosed', outcome: 'closed', exceptions: [] }],
    ['of each step', { type: 'StagingStarted', generation: 2 }],
  ])('nothing of a routine rotation: not %s', (_name, event) => {
    expect(noticed(event)).toBeUndefined()
  })
})

describe('of a request with a dead key an owner is told', () => {
  const knock = {
    type: 'DeadKeyUsed',
    credential: 'key',
    generation: 1,
    address: '203.0.113.9',
    client: null,
    declared: true,
    requests: 1,
    addresses: 1,
    nodes: ['gw-1'],
  }

  test('as a warning, unless its document says otherwise', () => {
    expect(noticed(knock)).toMatchObject({
      severity: 'warning',
      about: 'key/knock/1/203.0.113.9',
      rotation: 'key-g2',
      resolves: false,
      summary:
        'generation 1 of key, which is dead, was used (no declared client, 203.0.113.9) at gw-1; it was refused, and somebody still has it',
    })
    expect(noticed(knock, 'rotate', 'critical')).toMatchObject({ severity: 'critical' })
    expect(noticed(knock, 'rotate', 'off')).toBeUndefined()
  })

  test('by whom, as far as that is known', () => {
    const words = (over: object) => noticed({ ...knock, ...over })?.summary
    expect(words({ client: 'batch-jobs', requests: 7 })).toContain(
      'was used 7 times (batch-jobs, 203.0.113.9)',
    )
    expect(words({ declared: false })).toContain('by whom is not declared')
    expect(words({ address: null, addresses: 40 })).toContain('40 further addresses')
    expect(words({ address: null, addresses: 0 })).toContain('more addresses than are listed')
  })
})

test('of an order that waits for a second person an owner is told how to agree, and that somebody did', () => {
  const asked = {
    type: 'ApprovalAsked',
    approval: 'ap-0123456789ab',
    action: 'contain',
    resource: { type: 'Credential', id: 'key' },
    blastRadius: 400,
    reason: 'in a build log',
    ticket: null,
    expiresAt: '2026-11-22T03:15:00.000Z',
  }
  const waits = noticed(asked)
  expect(waits).toMatchObject({ severity: 'critical', resolves: false, about: 'ap-0123456789ab' })
  expect(waits?.summary).toContain('rekey approve ap-0123456789ab')
  const { approval, action, resource } = asked
  const given = { type: 'ApprovalGiven', approval, action, resource, requester: 'oidc/ana', reason: 'seen' }
  expect(noticed(given)).toMatchObject({ resolves: true, about: 'ap-0123456789ab' })
})

describe('of what somebody changed in a store by hand an owner is told', () => {
  const store = { store: 'vault', kind: 'foreign', governed: '6', seen: '7', shows: null }
  const drift = { credential: 'key', drift: 3, generation: 2 }
  const found = (over: object = {}) => ({ type: 'DriftFound', ...drift, stores: [{ ...store, ...over }] })

  test('what readers get, and how to settle it', () => {
    const notice = noticed(found())
    expect(notice).toMatchObject({ severity: 'critical', about: 'key/drift/3', resolves: false })
    expect(notice?.summary).toBe(
      'somebody changed key by hand: vault shows a value that Rekey did not write (version 7); it should be generation 2: rekey drift settle key',
    )
  })

  test.each([
    [{ kind: 'missing', seen: null }, 'critical', 'vault shows nothing'],
    [{ kind: 'other-generation', shows: 1 }, 'critical', 'vault shows generation 1 ('],
    [{ kind: 'rewritten' }, 'warning', 'the right value in a version that Rekey did not write'],
  ])('%j', (over, severity, words) => {
    expect(noticed(found(over))).toMatchObject({ severity, summary: expect.stringContaining(words) })
  })

  test('that it is settled', () => {
    const settled = noticed({ type: 'DriftSettled', ...drift, how: 'rotated', rotation: 'key-g3' })
    expect(settled).toMatchObject({ about: 'key/drift/3', resolves: true })
    expect(settled?.summary).toContain('a rotation has replaced what was there')
  })
})
