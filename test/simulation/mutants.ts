/** A bug as somebody could write it. `search` must be in the file once. */
export type Mutant = { name: string; file: string; search: string; replace: string }

const ROTATION = 'packages/core/src/rotation'
const LEDGER = 'packages/testing/src/ledger'
const ROTATOR = 'services/rotator/src'

/** Each of these rules is there for a reason: without it the simulation must find the world where it was needed. */
export const MUTANTS: Mutant[] = [
  {
    name: 'a joining node is not asked before the stores move',
    file: `${ROTATION}/successor.ts`,
    search: 'if (late.length > 0) {',
    replace: 'if (late.length < 0) {',
  },
  {
    name: 'the gate does not ask nodes that have proved nothing yet',
    file: `${ROTATION}/gate.ts`,
    search: '.filter((m) => !m.excused && !(m.provedRevision >=',
    replace: '.filter((m) => m.provedRevision > 0 && !m.excused && !(m.provedRevision >=',
  },
  {
    name: 'no confirmation after the promotion',
    file: `${ROTATION}/successor.ts`,
    search: "const track = { purpose: 'confirm', of: TRACK } as const",
    replace:
      "if (rotation.mode) return { events: [{ type: 'SuccessorLive', generation }], effects: [] }\n  const track = { purpose: 'confirm', of: TRACK } as const",
  },
  {
    name: 'the stores move before all nodes have proved',
    file: `${ROTATION}/successor.ts`,
    search: '} else if (rollout.wave < rollout.waves.length) {\n    return nextWave',
    replace:
      '} else if (rollout.wave > 0 && rotation.mode) {\n    return askPromotion(rotation, generation, facts)\n  } else if (rollout.wave < rollout.waves.length) {\n    return nextWave',
  },
  {
    name: 'a rollback moves the label back, by compare-and-set on the old version',
    file: `${ROTATOR}/act.ts`,
    search: 'const storeVersion = await storeOf(hands, effect.store).restore(base, call)',
    replace:
      'const storeVersion = await storeOf(hands, effect.store).promote(base.generation, leased.shown[effect.store], call, [effect.generation])',
  },
  {
    name: 'an outcome of an older attempt is accepted',
    file: `${LEDGER}/outcomes.ts`,
    search: "if (row?.state === 'pending' && row.attempt === attempt) {",
    replace: 'if (row) {',
  },
  {
    name: 'a worker writes into the other stores too, before that is asked for',
    file: `${ROTATOR}/act.ts`,
    search: 'const proofKey = proofPublicKey(staged.value, credential, generation)',
    replace:
      'for (const other of stores) await other.store.stage(staged, { ...call, key: call.key.replace(effect.store, other.name) })\n  const proofKey = proofPublicKey(staged.value, credential, generation)',
  },
  {
    name: 'contrary effects do not wait for leases',
    file: `${LEDGER}/effects.ts`,
    search: 'if (isContrary) until =',
    replace: 'if (!isContrary && isContrary) until =',
  },
  {
    name: 'acknowledgements of an old session count',
    file: `${LEDGER}/nodes.ts`,
    search: 'if (row?.session !== session || row.state',
    replace: 'if (!row || row.state',
  },
  {
    name: 'an emergency revokes only once',
    file: `${ROTATION}/takeover.ts`,
    search: 'lateUntil > facts.now ? 2 : 1',
    replace: 'lateUntil > facts.now ? 1 : 1',
  },
  {
    name: 'three generations at once',
    file: `${ROTATION}/slots.ts`,
    search: 'return occupying(rotation).length < rotation.plan.slots',
    replace: 'return occupying(rotation).length < rotation.plan.slots + 1',
  },
  {
    name: 'nothing is drained',
    file: `${ROTATION}/gate.ts`,
    search: 'if (isCut(rotation, retirement, facts)) return []',
    replace: 'if (rotation.mode) return []',
  },
  {
    name: 'a rollback goes back to a leaked base',
    file: `${ROTATION}/takeover.ts`,
    search: 'return base !== null && !isCompromised(rotation, base) && !isDying(rotation, base)',
    replace: 'return base !== null && !isDying(rotation, base)',
  },
  {
    name: 'any answer of the prober is a refusal',
    file: `${ROTATION}/probing.ts`,
    search: "results.every((r) => r.verdict === 'refused' && compared(r))",
    replace: "results.every((r) => r.verdict === 'refused' || compared(r))",
  },
  {
    name: 'nothing waits for the audit topic',
    file: `${ROTATION}/gate.ts`,
    search: "=== 'rotate' && !retirement.acknowledged",
    replace: "=== 'rotate' && !retirement.announced",
  },
  {
    name: 'nodes are told of what is being revoked',
    file: `${ROTATION}/desired.ts`,
    search: 'return ascending(all.filter((g) => !isDying(rotation, g)))',
    replace: 'return ascending(all)',
  },
  {
    name: 'effects of a plan that was given up go on',
    file: `${LEDGER}/effects.ts`,
    search: 'isOpen(row) && row.epoch < epoch && row.effect.of !== null',
    replace: 'isOpen(row) && row.epoch > epoch && row.effect.of !== null',
  },
  {
    name: 'a paused rotation goes on',
    file: `${ROTATION}/holds.ts`,
    search: "return mode === 'rotate' && holds.some(stops)",
    replace: "return mode === 'contain' && holds.some(stops)",
  },
  {
    name: 'a braked rotation goes on',
    file: `${ROTATION}/holds.ts`,
    search: "reason === 'human' || reason === 'error_rate'",
    replace: "reason === 'human' || reason === 'no_slot'",
  },
  {
    name: 'an emergency waits for the end of a pause',
    file: `${ROTATION}/orders.ts`,
    search: 'rotation.holds.filter(stops).map',
    replace: 'rotation.holds.filter((h) => stops(h) && h.until === undefined).map',
  },
  {
    name: 'what opens in a pause is not held',
    file: `${LEDGER}/submit.ts`,
    search: 'const paused = by && by.until > facts.now ?',
    replace: 'const paused = by && by.until < 0 ?',
  },
  {
    name: 'a pause is never over',
    file: `${ROTATION}/orders.ts`,
    search: 'hold?.until !== undefined && hold.until <= facts.now',
    replace: 'hold?.until !== undefined && hold.until <= 0',
  },
  {
    name: 'the inbox forgets whom it has judged',
    file: `${LEDGER}/inbox.ts`,
    search: 'const known = tables.inbox.get(key)',
    replace: "const known = tables.inbox.get('another ' + key)",
  },
  {
    name: 'a repeated answer counts again',
    file: `${ROTATION}/answers.ts`,
    search: "result.kind !== 'promote' || !isNew || successor.promoted.includes(store)",
    replace: "result.kind !== 'promote' || !isNew",
  },
]
