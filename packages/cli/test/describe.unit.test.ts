import type { RotationEvent } from '@rekey/core'
import { expect, test } from 'vitest'
import { describe } from '../src/describe.ts'
import { entry } from './given-cli.ts'

const cause = { kind: 'change', actor: 'demo', rule: 'zone', reason: 'chat: zone a → b' } as const
const results = [{ endpoint: 'gw-1', verdict: 'refused', seen: '401', control: 'accepted' }] as const

/** One of each kind, so that a new event without words is a compile error here. */
const WORDS: { [T in RotationEvent['type']]: [Omit<Extract<RotationEvent, { type: T }>, 'type'>, string] } = {
  RotationOpened: [
    {
      id: 'key-g2',
      credential: 'key',
      mode: 'rotate',
      cause,
      plan: {} as never,
      base: 1,
      generation: 2,
      revision: 0,
    },
    'Planned: generation 2 will replace generation 1 of key (rule zone: chat: zone a → b)',
  ],
  CauseJoined: [
    { cause: { kind: 'order', actor: 'operator/ana', reason: 'leak' } },
    'one more cause joins this rotation (ordered by operator/ana: leak)',
  ],
  FollowUpNoted: [
    { cause },
    'one more cause waits for the rotation after this one (rule zone: chat: zone a → b)',
  ],
  StagingStarted: [
    { generation: 2, waves: [['a'], ['b', 'c']] },
    'Staging: making generation 2; 3 nodes in 2 waves',
  ],
  ValueStaged: [
    { generation: 2, store: 'vault', storeVersion: '1', keyId: 'key.g2', proofKey: null },
    'store vault holds generation 2 as pending',
  ],
  RollingStarted: [{ generation: 2 }, 'Rolling: nodes learn to accept generation 2'],
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
    'wave 2/2: 4 nodes (b, c, …) shall accept generations 1 and 2',
  ],
  WaveProved: [
    { purpose: 'narrow', wave: 0, revision: 3, nodes: ['a'], excused: ['b'] },
    'wave 1 is closed to the old value, proved by a; excused: b',
  ],
  NodeNacked: [
    { revision: 3, generation: 2, node: 'a', reason: 'store_unreachable', detail: 'timeout' },
    'a could not take it: store_unreachable (timeout)',
  ],
  PromotionAsked: [{ generation: 2, store: 'vault' }, 'Promoting: store vault moves to generation 2'],
  StorePromoted: [
    { generation: 2, store: 'vault', storeVersion: '4' },
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
    { generation: 2, reason: 'wrong vendor', actor: 'operator/ana' },
    'RollingBack: generation 2 is given up by operator/ana: wrong vendor',
  ],
  RetirementOpened: [
    { generation: 1, control: 2, because: 'replaced', shown: true, restore: [], exceptions: [], at: 0 },
    'generation 1 must end, because it was replaced',
  ],
  StoreRestored: [
    { generation: 2, store: 'vault', storeVersion: '5' },
    'store vault shows the old value again',
  ],
  DrainingStarted: [{ generation: 1, at: 0 }, 'Draining: waiting until nobody uses generation 1'],
  RevocationAnnounced: [
    { generation: 1, evidence: [] },
    'generation 1 is unused; the audit topic is told that it will be revoked',
  ],
  AuditAcknowledged: [{ generation: 1 }, 'the audit topic has the intent to revoke generation 1'],
  RevocationStarted: [
    { generation: 1, at: 0 },
    'Revoking: nodes stop accepting generation 1; there is no way back from here',
  ],
  ProvingStarted: [{ generation: 1, at: 0 }, 'Proving: is generation 1 dead?'],
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
    { reason: 'effect_failed', about: 'e', because: 'resumed by operator/ana' },
    'no longer held: resumed by operator/ana',
  ],
  RotationClosed: [
    { outcome: 'closed', exceptions: ['no_positive_control'] },
    'Closed, but not everything was shown: no positive control',
  ],
}

test.each(Object.entries(WORDS))('%s', (type, [data, words]) => {
  expect(describe(entry(type, data))).toBe(words)
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
