import { brakeLook, overdue } from './asks.ts'
import { isBraked } from './brake.ts'
import type { RotationEvent } from './events.ts'
import { evolveAll } from './evolve.ts'
import type { FoundGeneration, Settlement } from './found.ts'
import type { Decision, Facts } from './inputs.ts'
import { proceed } from './proceed.ts'
import type { Cause, Plan, Rotation } from './state.ts'
import { planWaves } from './waves.ts'

/** What is known of a rotation that was under way when its ledger was lost: what the stores and endpoints show. */
export type FoundOpening = {
  id: string
  credential: string
  plan: Plan
  cause: Cause
  revision: number
  movedAt: number | null
  found: Settlement & { current: FoundGeneration }
  /** Causes that came while the credential was held: one rotation follows for all of them. */
  later: Cause[]
}

/**
 * Goes on with a rotation that the ledger does not know, from what was found outside: the generation in use is the
 * successor, what else endpoints accept is the base. So clients of the other one are drained by evidence, and not cut.
 *
 * Nobody is told to accept what an endpoint refuses already: its revocation had begun, or it never came so far, so it
 * is left to prove that it is refused everywhere.
 */
export function openFound(opening: FoundOpening, facts: Facts): Decision & { rotation: Rotation } {
  const { id, credential, plan, cause, revision, movedAt, found, later } = opening
  const { generation, keyId, proofKey } = found.current
  const at = facts.now
  const [base, ...moreAccepted] = found.others
    .filter((g) => g.tried === 'accepted')
    .sort((a, b) => b.generation - a.generation)
  const waves = planWaves(
    facts.members.filter((m) => !m.excused),
    plan.waves,
    plan.maxInFlight,
  )
  const events: RotationEvent[] = [
    {
      type: 'RotationOpened',
      id,
      credential,
      goal: 'replace',
      mode: 'rotate',
      compromised: [],
      cause,
      plan,
      base: base?.generation ?? null,
      generation,
      revision,
      movedAt,
    },
    ...later.map((c): RotationEvent => ({ type: 'FollowUpNoted', cause: c, goal: 'replace' })),
    { type: 'Settled', generation },
    { type: 'StagingStarted', generation, waves },
    ...plan.stores.map((store): RotationEvent => {
      const storeVersion = found.shownBy.get(store) ?? 'found'
      return { type: 'ValueStaged', generation, store, storeVersion, keyId, proofKey }
    }),
    ...(plan.direction === 'outbound' ? accepted(generation) : []),
    { type: 'RollingStarted', generation },
    ...[...found.shownBy].flatMap(([store, storeVersion]): RotationEvent[] => [
      { type: 'PromotionAsked', generation, store },
      { type: 'StorePromoted', generation, store, storeVersion, at },
    ]),
    ...moreAccepted.map((g) => retired(g, at)),
    ...found.others.filter((g) => g.tried !== 'accepted').map((g) => retired(g, at)),
  ]
  const first = evolveAll(undefined, events)
  if (!first) throw new Error('rotation-0005: a found rotation has no state')
  const decision = proceed(
    first,
    { events, effects: [overdue(first, at), ...(isBraked(first) ? [brakeLook(first, at)] : [])] },
    facts,
  )
  return { ...decision, rotation: evolveAll(undefined, decision.events) ?? first }
}

function accepted(generation: number): RotationEvent[] {
  return [
    { type: 'InstallAsked', generation },
    { type: 'ValueInstalled', generation },
  ]
}

type Opened = Extract<RotationEvent, { type: 'RetirementOpened' }>

function retired({ generation, tried }: FoundGeneration, at: number): Opened {
  return { type: 'RetirementOpened', generation, back: null, restore: [], at, ...AS_FOUND[tried] }
}

const DYING = {
  because: 'already-dead',
  step: 'proving',
  shown: true,
  valid: true,
  exceptions: ['no_positive_control'],
} satisfies Partial<Opened>

const AS_FOUND: Record<
  FoundGeneration['tried'],
  Omit<Opened, 'type' | 'generation' | 'back' | 'restore' | 'at'>
> = {
  accepted: { ...DYING, because: 'replaced', step: 'waiting' },
  // One of its stores has destroyed it, which comes after the proof that it is refused: the rest follows.
  untried: { because: 'replaced', step: 'waiting', shown: false, valid: false, exceptions: [] },
  refused: DYING,
  unknown: DYING,
}
