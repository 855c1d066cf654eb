import type { RotationEvent } from '@rekey/core'
import { expect, test } from 'vitest'
import { describe } from '../src/describe.ts'
import { entry } from './given-cli.ts'

const cause = { kind: 'change', actor: 'demo', rule: 'zone', reason: 'chat: zone a → b' } as const
const results = [{ endpoint: 'gw-1', verdict: 'refused', seen: '401', control: 'accepted' }] as const

type Data<T extends RotationEvent['type']> = Omit<Extract<RotationEvent, { type: T }>, 'type'>

/** One of each kind, so that a new event without words is a compile error here. */
const WORDS: { [T in RotationEvent['type']]: [Data<T>, string] } = {
  RotationOpened: [
    {
      id: 'key-g2',
      credential: 'key',
      goal: 'replace',
      mode: 'rotate',
      compromised: [],
      cause,
      plan: {} as never,
      base: 1,
      generation: 2,
      revision: 0,
      movedAt: null,
    },
    'Planned: generation 2 will replace generation 1 of key (rule zone: chat: zone a → b)',
  ],
  CauseJoined: [
    { cause: { kind: 'order', actor: 'operator/ana', reason: 'leak' } },
    'one more cause joins this rotation (ordered by operator/ana: leak)',
  ],
  FollowUpNoted: [
    { cause, goal: 'replace' },
    'one more cause waits for the rotation after this one (rule zone: chat: zone a → b)',
  ],
  ModeRaised: [{ mode: 'expedite', because: 'in a log' }, 'expedite from here on: in a log'],
  GenerationsCompromised: [
    { generations: [1, 2], actor: 'operator/ana', reason: 'in a log' },
    'generations 1 and 2 leaked, says operator/ana: in a log',
  ],
  SuccessorPlanned: [{ generation: 3, base: 1 }, 'Planned: generation 3 will replace generation 1'],
  Settled: [{ generation: 2 }, 'the time in which causes gather is over; generation 2 comes next'],
  StagingStarted: [
    { generation: 2, waves: [['a'], ['b', 'c']] },
    'Staging: making generation 2; 3 nodes in 2 waves',
  ],
  ValueStaged: [
    { generation: 2, store: 'vault', storeVersion: '1', keyId: 'key.g2', proofKey: null },
    'store vault holds generation 2 as pending',
  ],
  InstallAsked: [{ generation: 2 }, 'the authority is asked to accept generation 2'],
  ValueInstalled: [{ generation: 2 }, 'the authority accepts generation 2'],
  RollingStarted: [{ generation: 2 }, 'Rolling: nodes learn generation 2'],
  WaveStarted: [
    {
      track: 'successor',
      purpose: 'widen',
      waves: [['a'], ['b', 'c', 'd', 'e']],
      wave: 1,
      nodes: ['b', 'c', 'd', 'e'],
      revision: 3,
      accept: [1, 2],
      refuse: [],
      floor: 1,
    },
    'wave 2/2: 4 nodes (b, c, …) shall hold generations 1 and 2',
  ],
  WaveProved: [
    { purpose: 'narrow', wave: 0, revision: 3, nodes: ['a'], excused: ['b'], lost: ['c'] },
    'wave 1 is closed to the old value, proved by a; excused: b; lost, and not waited for: c',
  ],
  NodeNacked: [
    { revision: 3, generation: 2, node: 'a', reason: 'store_unreachable', detail: 'timeout' },
    'a could not take it: store_unreachable (timeout)',
  ],
  PromotionAsked: [{ generation: 2, store: 'vault' }, 'Promoting: store vault moves to generation 2'],
  StorePromoted: [
    { generation: 2, store: 'vault', storeVersion: '4', at: 0 },
    'store vault shows generation 2 as current',
  ],
  ConfirmingStarted: [{ generation: 2 }, 'Confirming: the stores have moved; every node proves again'],
  BaselineProbed: [
    {
      generation: 1,
      conclusive: true,
      results: [{ endpoint: 'gw-1', verdict: 'accepted', seen: '200', control: null }],
    },
    'probe: the old value was still accepted at gw-1 (200)',
  ],
  SuccessorLive: [{ generation: 2 }, 'generation 2 is live: every node there is has proved it'],
  SuccessorAbandoned: [
    {
      generation: 2,
      reason: 'wrong vendor',
      actor: 'operator/ana',
      superseded: false,
      dropped: [1],
      reinstate: 1,
    },
    'RollingBack: generation 2 is given up by operator/ana: wrong vendor; generation 1 is suspended, and reinstated first',
  ],
  RetirementOpened: [
    {
      generation: 1,
      because: 'replaced',
      step: 'waiting',
      shown: true,
      valid: true,
      back: null,
      restore: [],
      exceptions: [],
      at: 0,
    },
    'generation 1 must end, because it was replaced',
  ],
  OffboardingCancelled: [
    { generation: 1, reason: 'still needed', actor: 'operator/ana', reinstate: null },
    'the offboarding is called off by operator/ana: still needed; generation 1 stays',
  ],
  StoreRestored: [
    { generation: 2, store: 'vault', storeVersion: '5', at: 0 },
    'store vault shows the old value again',
  ],
  Reinstated: [{ generation: 1 }, 'generation 1, which was suspended, is accepted again'],
  DrainingStarted: [{ generation: 1, at: 0 }, 'Draining: waiting until nobody uses generation 1'],
  RevocationAnnounced: [
    { generation: 1, epoch: 1, evidence: [] },
    'generation 1 is unused; the audit topic is told that it will be revoked',
  ],
  AuditAcknowledged: [{ generation: 1 }, 'the audit topic has the intent to revoke generation 1'],
  SuspensionStarted: [
    { generation: 1, at: 0 },
    'Suspended: the authority is asked to refuse generation 1, which can be undone',
  ],
  Suspended: [
    { generation: 1, at: 0 },
    'the authority refuses generation 1; if somebody misses it, there is a way back',
  ],
  RevocationStarted: [
    { generation: 1, mode: 'rotate', at: 0, lateUntil: 0, revokes: 0, withdraw: [] },
    'Revoking: nodes stop accepting generation 1; there is no way back from here',
  ],
  StoreWithdrawn: [
    { generation: 1, store: 'vault', storeVersion: '6', at: 0 },
    'store vault shows readers nothing in place of generation 1',
  ],
  Revoked: [{ generation: 1, round: 0 }, 'the authority has ended generation 1'],
  RevocationRepeated: [
    { generation: 1, round: 1 },
    'generation 1 is still accepted: the authority is asked to end it once more',
  ],
  ProvingStarted: [{ generation: 1, at: 0 }, 'Proving: is generation 1 dead?'],
  ProbeAsked: [{ generation: 1, round: 1 }, 'probe: round 2, is generation 1 refused?'],
  RefusalProbed: [
    { generation: 1, conclusive: true, results: [...results] },
    'probe: generation 1 is refused at gw-1 (401; the value in use: accepted)',
  ],
  StoreDestroyed: [{ generation: 1, store: 'vault' }, 'store vault destroyed generation 1'],
  GenerationDead: [{ generation: 1, exceptions: [], at: 0 }, 'generation 1 is dead'],
  HoldPlaced: [
    { hold: { reason: 'effect_failed', about: 'e', detail: 'permission_denied: no', at: 0 } },
    'HELD: effect failed: permission_denied: no',
  ],
  HoldLifted: [
    { reason: 'effect_failed', about: 'e', because: 'resumed by operator/ana: Vault is unsealed' },
    'no longer held: resumed by operator/ana: Vault is unsealed',
  ],
  RotationClosed: [
    { outcome: 'closed', exceptions: ['no_positive_control'] },
    'Closed, but not everything was shown: no positive control',
  ],
}

test.each(Object.entries(WORDS))('%s', (type, [data, words]) => {
  expect(describe(entry(type, data))).toBe(words)
})

const opened = WORDS.RotationOpened[0]
const revocation = WORDS.RevocationStarted[0]
const ana = { kind: 'order', actor: 'operator/ana', reason: 'in a log' } as const

test.each<[string, string, object, string]>([
  [
    'an emergency says what leaked',
    'RotationOpened',
    { ...opened, mode: 'contain', compromised: [1], cause: ana },
    'Planned: generation 2 will replace generation 1 of key; contain: generation 1 leaked (ordered by operator/ana: in a log)',
  ],
  [
    'a leak report says whose it is',
    'CauseJoined',
    { cause: { ...ana, kind: 'leak' } },
    'one more cause joins this rotation (leak reported by operator/ana: in a log)',
  ],
  [
    'an offboarding has no successor',
    'RotationOpened',
    { ...opened, goal: 'retire', generation: null, cause: ana },
    'generation 1 of key shall end, and none follows (ordered by operator/ana: in a log)',
  ],
  [
    'an offboarding waits too',
    'FollowUpNoted',
    { cause: ana, goal: 'retire' },
    'the offboarding waits for the rotation after this one (ordered by operator/ana: in a log)',
  ],
  [
    'a successor that leaked is followed by another',
    'SuccessorAbandoned',
    { ...WORDS.SuccessorAbandoned[0], superseded: true, reinstate: null },
    'RollingBack: generation 2 leaked and is given up; another one follows',
  ],
  [
    'a drain that was cut is not called unused',
    'RevocationAnnounced',
    { generation: 1, epoch: 1, evidence: ['a: cut'] },
    'generation 1 is cut off, whoever still uses it; the audit topic is told that it will be revoked',
  ],
  [
    'a containment says what it waives',
    'RevocationStarted',
    { ...revocation, mode: 'contain', revokes: 1, withdraw: ['vault', 'aws'] },
    'Revoking: the authority ends generation 1; there is no way back from here; no longer shown by vault, aws; contain: neither proofs nor a drain are waited for',
  ],
  [
    'a store that showed something else',
    'StoreWithdrawn',
    { generation: 1, store: 'vault', storeVersion: null, at: 0 },
    'store vault showed generation 1 to nobody any more',
  ],
  [
    'a second revocation',
    'Revoked',
    { generation: 1, round: 1 },
    'the authority has ended generation 1 once more',
  ],
  [
    'nodes that go back',
    'WaveStarted',
    { ...WORDS.WaveStarted[0], purpose: 'back', accept: [1], nodes: ['a'], wave: 0 },
    'wave 1/2: a shall go back to generation 1',
  ],
  [
    'what died by itself',
    'RetirementOpened',
    { ...WORDS.RetirementOpened[0], because: 'already-dead' },
    'generation 1 was dead already; it is left to show that it is refused',
  ],
  [
    "a human's hold",
    'HoldPlaced',
    { hold: { reason: 'human', about: 'key-g2', detail: 'held by operator/ana: wait', at: 0 } },
    'HELD: held by operator/ana: wait',
  ],
  ['an end that changed nothing', 'RotationClosed', { outcome: 'cancelled', exceptions: [] }, 'Cancelled'],
])('%s', (_what, type, data, words) => {
  expect(describe(entry(type, data))).toBe(words)
})

test('entries of the first release read as they did', () => {
  const { goal: _, compromised: __, movedAt: ___, ...old } = opened
  expect(describe(entry('RotationOpened', old))).toBe(WORDS.RotationOpened[1])
  expect(describe(entry('RevocationStarted', { generation: 1, at: 0 }))).toBe(WORDS.RevocationStarted[1])
  expect(describe(entry('SuccessorAbandoned', { generation: 2, reason: 'x', actor: 'rekey' }))).toBe(
    'RollingBack: generation 2 is given up by rekey: x',
  )
  const proved = { purpose: 'confirm', wave: 0, revision: 3, nodes: ['a'], excused: [] }
  expect(describe(entry('WaveProved', proved))).toBe('wave 1 is proved again by a')
})

test('a wave of no node claims no proof', () => {
  const empty = { purpose: 'widen', wave: 0, waves: [[]], nodes: [], excused: [], accept: [1], refuse: [] }
  expect(describe(entry('StagingStarted', { generation: 1, waves: [] }))).toBe(
    'Staging: making generation 1; no node yet',
  )
  for (const type of ['WaveStarted', 'WaveProved'])
    expect(describe(entry(type, empty))).toBe('wave 1: no node is there yet to be told')
})

test('an entry of a newer control is shown by its name', () => {
  expect(describe(entry('SomethingNew'))).toBe('SomethingNew')
})
