import { isDeepStrictEqual } from 'node:util'
import {
  decide,
  evolve,
  type Input,
  MAY_FOLLOW,
  RETIREMENT_MAY_FOLLOW,
  type Rotation,
  type RotationEvent,
} from '@rekey/core'
import type { Random } from '../random.ts'
import type { World } from '../world.ts'
import { Violation } from './violation.ts'

/** I9: the journal alone rebuilds every rotation, and what was said before changes nothing when it is said again. */
export class Replays {
  readonly #world: World
  readonly #random: Random

  constructor(world: World) {
    this.#world = world
    // Of its own: looking changes nothing.
    this.#random = world.ground.random.fork('replays')
  }

  sometimes(): void {
    if (!this.#random.chance(0.01)) return
    for (const { state } of this.#world.ledger.tables.rotations.all()) if (!state.outcome) this.#repeat(state)
  }

  atEnd(): void {
    const { tables } = this.#world.ledger
    for (const { state } of tables.rotations.all()) {
      this.#rebuild(state)
      this.#repeat(state)
    }
    for (const row of tables.effects.all()) {
      const rotation = tables.rotations.get(row.rotation)?.state
      if (rotation?.outcome && row.state === 'pending' && row.effect.kind !== 'timer')
        throw new Violation('I5', `${row.key} is still to be done, and its rotation has ended`)
      if (row.state === 'done' && row.effect.kind !== 'timer' && row.outcome === null)
        throw new Violation('I5', `${row.key} is done without an outcome`)
    }
  }

  #rebuild(kept: Rotation): void {
    let state: Rotation | undefined
    for (const { stream, type, data } of this.#world.ledger.tables.journal) {
      if (stream !== `rotation/${kept.id}`) continue
      const next = evolve(state, { type, ...data } as RotationEvent)
      if (state) checkSteps(state, next)
      state = next
    }
    if (!isDeepStrictEqual(state, kept))
      throw new Violation('I9', `the journal of ${kept.id} gives another state`)
  }

  /** Every answer that this rotation had, once more. */
  #repeat(rotation: Rotation): void {
    const { tables } = this.#world.ledger
    const row = tables.credentials.get(rotation.credential)
    if (!row) return
    const facts = this.#world.ledger.facts(rotation.credential)
    const nothing = JSON.stringify(decide(rotation, { type: 'NodesChanged' }, facts).events)
    for (const input of this.#inputs(rotation)) {
      const said = decide(rotation, input, facts).events
      if (JSON.stringify(said) !== nothing)
        throw new Violation(
          'I9',
          `${rotation.id}: a repeated ${input.type} ${JSON.stringify(input)} leads to ${said.map((e) => e.type)}`,
        )
    }
  }

  *#inputs({ id }: Rotation): Generator<Input> {
    const { tables } = this.#world.ledger
    for (const row of tables.effects.all()) {
      if (row.rotation !== id || row.state !== 'done' || row.effect.kind === 'timer') continue
      const result = row.outcome as Extract<Input, { type: 'EffectDone' }>['result']
      yield { type: 'EffectDone', effect: row.effect, result }
    }
    const announced: { generation: number; epoch: number }[] = []
    for (const { stream, type, data } of tables.journal) {
      if (stream !== `rotation/${id}`) continue
      if (type === 'WaveProved') yield { type: 'WaveProved', revision: Number(data.revision) }
      if (type === 'RevocationAnnounced')
        announced.push({ generation: Number(data.generation), epoch: Number(data.epoch) })
      if (type === 'AuditAcknowledged') {
        const which = announced.find((a) => a.generation === Number(data.generation))
        if (which) yield { type: 'AuditAcknowledged', ...which }
      }
    }
  }
}

function checkSteps(from: Rotation, to: Rotation): void {
  const was = from.successor
  const is = to.successor
  if (was && is && was.generation === is.generation && was.step !== is.step) {
    const may: readonly string[] = MAY_FOLLOW[was.step]
    if (!may.includes(is.step)) throw new Violation('I6', `${from.id}: ${was.step} is followed by ${is.step}`)
  }
  for (const before of from.retirements) {
    const after = to.retirements.find((r) => r.generation === before.generation)
    if (!after || after.step === before.step) continue
    const may: readonly string[] = RETIREMENT_MAY_FOLLOW[before.step]
    if (!may.includes(after.step))
      throw new Violation('I6', `${from.id}: ${before.step} is followed by ${after.step}`)
  }
}
