import type { World } from './spin.ts'

/** A world in which nothing may go wrong. */
export type Run = World & { name: string; ends: readonly ('closed' | 'rolled back')[] }

const depth = (
  model: World['model'],
  name: string,
  defines: string,
  ends: Run['ends'] = ['closed'],
): Run => ({ model, name, defines: words(defines), search: 'depth', ends })

const cycles = (run: Run): Run => ({ ...run, name: `${run.name}; no livelock`, search: 'cycles' })
const large = (run: Run): Run => ({ ...run, large: true })

const BACK = ['closed', 'rolled back'] as const

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}

/**
 * In CI. `CLIENT` gives the client one store of its own: by projection that is every client that does not change its
 * store, and without it two stores that differ are an endless way of their own, in which being stuck would go unseen.
 */
export const BOUNDED: readonly Run[] = [
  depth('inbound', 'nodes restart, reconnect, join', 'N=3 JOINERS=1 RESTARTS=1 DROPS=1 CLIENT=1'),
  depth('inbound', 'nodes go for ever, or are excused', 'N=3 OFFS=1 EXCUSES=1 RESTARTS=1 CLIENT=0'),
  depth('inbound', 'rollback, calls that outlive their lease', 'N=2 ROLLBACKS=1 LATES=2 PAUSE HOLDS=1', BACK),
  depth('inbound', 'any leak, at any step', 'N=3 LEAKS=1 CLIENT=0'),
  cycles(depth('inbound', 'any leak', 'N=2 LEAKS=1 CLIENT=1')),
  depth('inbound', 'offboarding', 'N=3 OFFBOARD RESTARTS=1 DROPS=1'),
  depth('outbound', 'nodes restart, reconnect, join', 'N=3 JOINERS=1 RESTARTS=1 DROPS=1 STORE_BOOT CLIENT=1'),
  depth(
    'outbound',
    'nodes go for ever, or are excused',
    'N=3 OFFS=1 EXCUSES=1 RESTARTS=1 STORE_BOOT CLIENT=0',
  ),
  depth(
    'outbound',
    'rollback, calls that end with their lease',
    'N=2 ROLLBACKS=1 LATES=2 DROPS=1 STORE_BOOT',
    BACK,
  ),
  depth(
    'outbound',
    'rollback, calls that outlive it',
    'N=2 ROLLBACKS=1 LATES=2 PAUSE FENCED STORE_BOOT',
    BACK,
  ),
  depth('outbound', 'any leak, at any step', 'N=3 LEAKS=1 STORE_BOOT CLIENT=0'),
  cycles(depth('outbound', 'any leak', 'N=2 LEAKS=1 STORE_BOOT CLIENT=1')),
  depth('outbound', 'the base was dead before', 'N=3 DEADBASE RESTARTS=1 DROPS=1 STORE_BOOT CLIENT=0'),
]

/** With REKEY_DEEP=1: three nodes, three generations, several faults at once. */
export const DEEP: readonly Run[] = [
  depth('inbound', 'any two leaks', 'N=3 LEAKS=2 CLIENT=0'),
  depth('inbound', 'leak, rollback, restart', 'N=3 LEAKS=1 ROLLBACKS=1 RESTARTS=1 CLIENT=0', BACK),
  depth('inbound', 'leak, reconnection, joiner', 'N=3 LEAKS=1 DROPS=1 JOINERS=1 CLIENT=0'),
  depth('inbound', 'leak, paused worker, any store', 'N=3 LEAKS=1 LATES=1 PAUSE'),
  depth('outbound', 'any two leaks', 'N=2 LEAKS=2 STORE_BOOT CLIENT=0'),
  depth(
    'outbound',
    'leak, rollback, restart',
    'N=3 LEAKS=1 ROLLBACKS=1 RESTARTS=1 STORE_BOOT CLIENT=0',
    BACK,
  ),
  depth('outbound', 'leak, paused worker', 'N=3 LEAKS=1 LATES=1 STORE_BOOT CLIENT=0'),
  depth('outbound', 'leak, worker past its lease', 'N=3 LEAKS=1 LATES=1 PAUSE FENCED STORE_BOOT CLIENT=0'),
].map(large)

/** One rule switched off, a small world, and the invariant that this breaks. */
export type Mutation = World & {
  rule: string
  breaks: string
  /** Promises that the core breaks on the same way, too; README.md says why. */
  onTheCore: readonly string[]
}

const without = (
  model: World['model'],
  rule: string,
  defines: string,
  breaks: string,
  onTheCore: Mutation['onTheCore'] = [],
): Mutation => ({ model, rule, defines: words(defines), search: 'breadth', breaks, onTheCore })

export const MUTATIONS: readonly Mutation[] = [
  without(
    'inbound',
    'the gate asks everybody who is expected now',
    'N=2 JOINERS=1 BUG_GATE_IGNORES_JOINER',
    'I2',
  ),
  without('inbound', 'stores move when every node has proved', 'N=2 BUG_PROMOTE_EARLY', 'I1'),
  without('inbound', 'nodes narrow when it is drained', 'N=2 BUG_NARROW_BEFORE_DRAIN', 'I1'),
  without('inbound', 'a proof belongs to a session', 'N=2 RESTARTS=1 BUG_STALE_SESSION', 'I2'),
  without('inbound', 'a session begins with a fresh read', 'N=2 RESTARTS=1 BUG_REPLAYED_FIRST', 'I1'),
  without('inbound', 'a restarted node serves after that read', 'N=2 RESTARTS=1 BUG_SERVES_STALE', 'I1'),
  without('inbound', 'a node ignores older revisions', 'N=2 LEAKS=1 BUG_OLD_REVISION', 'I1'),
  without(
    'inbound',
    'a rollback writes a new store version',
    'N=2 ROLLBACKS=1 LATES=1 PAUSE BUG_LABEL_BACK',
    'I1',
  ),
  without('inbound', 'stores compare their version', 'N=2 ROLLBACKS=1 LATES=1 PAUSE BUG_NO_CAS', 'I1'),
  without(
    'inbound',
    'what was destroyed is never staged',
    'N=2 ROLLBACKS=1 LATES=1 PAUSE BUG_NO_TOMBSTONE',
    'I3',
  ),
  without('inbound', 'an older plan records nothing', 'N=2 LEAKS=1 LATES=1 PAUSE BUG_LATE_OUTCOME', 'I6'),
  without('inbound', 'the next one waits for a slot', 'N=2 LEAKS=1 BUG_THREE_SLOTS', 'I4'),
  without('inbound', 'nothing goes back to what leaked', 'N=2 LEAKS=2 BUG_BACK_TO_LEAKED', 'stuck'),
  without('inbound', 'what is revoked is not asked any more', 'N=2 LEAKS=1 CLIENT=0 BUG_FROZEN_ASK', 'stuck'),
  without('inbound', 'a routine one waits for the audit topic', 'N=2 BUG_NO_AUDIT', 'I2'),
  without(
    'outbound',
    'nodes prove again after stores moved',
    'N=2 MODE=EXPEDITE RESTARTS=1 STORE_BOOT BUG_NO_CONFIRM',
    'I1',
  ),
  without('outbound', 'an effect waits for older leases', 'N=2 ROLLBACKS=1 LATES=1 BUG_NO_WAIT', 'stuck'),
  without(
    'outbound',
    'no call outlives its lease, or the authority has a fence',
    'N=2 ROLLBACKS=1 LATES=1 PAUSE',
    'stuck',
  ),
  without(
    'outbound',
    'the intent to suspend is enough to reinstate',
    'N=2 ROLLBACKS=1 LATES=1 BUG_REINSTATE_IF_KNOWN',
    'stuck',
  ),
  without('outbound', 'an emergency revokes once more', 'N=2 LEAKS=1 LATES=1 BUG_REVOKE_ONCE', 'stuck'),
  without(
    'outbound',
    'and proving outlasts every lease',
    'N=2 LEAKS=1 LATES=1 BUG_REVOKE_ONCE BUG_PROVE_EARLY',
    'I3',
  ),
  without(
    'outbound',
    'a call is conditional on what its slot holds',
    'N=2 LEAKS=1 LATES=1 BUG_NO_SLOT',
    'I1',
  ),
  without('outbound', 'the next one waits for a slot', 'N=2 LEAKS=1 BUG_THREE_SLOTS', 'I4'),
]

/** Readings of the rules that the model refutes; README.md says what the rules should say. */
export const REFUTED: readonly Mutation[] = [
  without('inbound', 'stores destroy it at once', 'N=2 LEAKS=1 TEXT_DESTROY', 'I3'),
  without('inbound', 'an offboarding withdraws nothing', 'N=2 OFFBOARD TEXT_OFFBOARD', 'I3'),
  without(
    'inbound',
    'the next one waits for the abandoned one',
    'N=2 LEAKS=1 ROLLBACKS=1 CLIENT=0 TEXT_NEXT',
    'stuck',
  ),
  without('inbound', 'an excuse outlives a new session', 'N=2 RESTARTS=1 EXCUSES=1 TEXT_EXCUSE', 'I1', [
    'I1: n1 refuses generation 2',
  ]),
  without('inbound', 'the bound of `expedite` may be short', 'N=2 MODE=EXPEDITE CUT_EARLY', 'I1', [
    'I1: n0 refuses generation 1',
  ]),
  without('outbound', 'a rolling successor is a control', 'N=2 DEADBASE TEXT_CONTROL', 'I3'),
  without(
    'outbound',
    'a leaked successor that nobody has is the next base',
    'N=2 DEADBASE LEAKS=1 TEXT_REBASE',
    'I3',
  ),
  without(
    'outbound',
    'nodes are told the base before it is reinstated',
    'N=2 ROLLBACKS=1 LATES=1 RESTARTS=1 TEXT_REINSTATE',
    'I1',
  ),
]

/** A way that ends well, for replay on the real core. */
export type Goal = World & { name: string; outcome: 'closed' | 'rolled-back' }

const closed = (model: World['model'], name: string, defines: string): Goal => ({
  model,
  name,
  defines: ['GOAL_CLOSED', ...words(defines)],
  search: 'breadth',
  outcome: 'closed',
})
const rolledBack = (model: World['model'], name: string, defines: string): Goal => ({
  ...closed(model, name, defines),
  defines: ['GOAL_ROLLED_BACK', ...words(defines)],
  outcome: 'rolled-back',
})

const BASE_LEAKS = 'N=2 LEAKS=1 LEAK_GENS=1 GOAL_WITH=LEAKED'
const SUCCESSOR_LEAKS = 'N=2 LEAKS=1 LEAK_GENS=2 GOAL_WITH=LEAKED_AFTER_MOVING'

export const GOALS: readonly Goal[] = [
  closed('inbound', 'routine', 'N=3'),
  closed('inbound', 'the base leaks, and is contained', `${BASE_LEAKS} LEAK_MODES=2`),
  closed('inbound', 'the base leaks, and goes on serving', `${BASE_LEAKS} LEAK_MODES=1`),
  closed('inbound', 'the successor leaks, and is contained', `${SUCCESSOR_LEAKS} LEAK_MODES=2`),
  closed('inbound', 'the successor leaks, and goes on serving', `${SUCCESSOR_LEAKS} LEAK_MODES=1`),
  rolledBack('inbound', 'a rollback', 'N=2 ROLLBACKS=1 GOAL_WITH=THERE_AND_BACK'),
  closed('outbound', 'routine', 'N=3'),
  closed('outbound', 'the base leaks, and is contained', `${BASE_LEAKS} LEAK_MODES=2`),
  closed('outbound', 'the base leaks, and goes on serving', `${BASE_LEAKS} LEAK_MODES=1`),
  closed('outbound', 'the successor leaks, and is contained', `${SUCCESSOR_LEAKS} LEAK_MODES=2`),
  closed('outbound', 'the successor leaks, and goes on serving', `${SUCCESSOR_LEAKS} LEAK_MODES=1`),
  rolledBack('outbound', 'a rollback', 'N=2 ROLLBACKS=1 GOAL_WITH=THERE_AND_BACK'),
]
