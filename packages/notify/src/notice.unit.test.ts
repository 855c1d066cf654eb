import type { Mode, RotationEvent } from '@rekey/core'
import { describe, expect, test } from 'vitest'
import { noticeOf } from './notice.ts'

const cause = { kind: 'order', actor: 'operator/ana', reason: 'in a build log' } as const
const hold = { reason: 'wave_deadline', about: 'r7', detail: 'gw-2 owes its proof', at: 1 } as const

const noticed = (event: object, mode: Mode = 'rotate') =>
  noticeOf({
    position: 9,
    event: event as RotationEvent,
    actor: 'operator/ana',
    at: '2026-11-22T03:00:00.000Z',
    rotation: 'key-g2',
    credential: 'key',
    mode,
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
