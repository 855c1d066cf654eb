import type { RotationEvent } from '@rekey/core'
import type { World } from '../world.ts'
import type { Entry } from './record.ts'
import { Violation } from './violation.ts'

/** A rotation that is open, by what its journal says. */
type Open = {
  credential: string
  mode: string
  /** A human's hold is on it. */
  isHeld: boolean
  /** Too many requests failed: it waits for people. */
  isBraked: boolean
  /** Somebody let this one go on before the pause of its credential was over. */
  isFreed: boolean
  /** The hold of a pause was lifted with the successor's end, of which it is to be seen who gave it up. */
  isGivenUp: boolean
  /** What was asked for when the pause began; it may still be done. */
  asked?: Set<string>
}

/** What a rotation decides by itself. What comes from outside is heard in a pause too. */
const STEPS: readonly RotationEvent['type'][] = [
  'StagingStarted',
  'InstallAsked',
  'RollingStarted',
  'WaveStarted',
  'WaveProved',
  'PromotionAsked',
  'ConfirmingStarted',
  'SuccessorLive',
  'DrainingStarted',
  'RevocationAnnounced',
  'SuspensionStarted',
  'RevocationStarted',
  'ProvingStarted',
  'ProbeAsked',
  'GenerationDead',
  'RotationClosed',
]

/** What begins a step; the rest may go on with one: the next store, another probe. */
const BEGINNING = ['install', 'promote', 'withdraw', 'suspend', 'deliver']

/**
 * Pauses, as people gave them: in one no routine rotation takes a step and nothing new begins outside; it ends with its
 * time, or by a word; and no emergency is held.
 */
export class Pauses {
  readonly #world: World
  readonly #open = new Map<string, Open>()
  /** Until when routine rotations of a credential wait, on the ledger's clock. */
  readonly #until = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  /** All of a step: that a pause is ended is written after what follows from it. */
  hear(entries: Entry[]): void {
    for (const { type, data } of entries)
      if (type === 'PauseEnded')
        for (const credential of data.credentials as string[]) this.#until.delete(credential)
    for (const entry of entries) this.#hear(entry)
  }

  #hear(entry: Entry): void {
    const { stream, type, data } = entry
    if (type === 'Paused')
      for (const credential of data.credentials as string[])
        this.#begin(credential, Date.parse(String(data.until)))
    if (!stream.startsWith('rotation/')) return
    if (type === 'RotationOpened')
      this.#open.set(stream, {
        credential: String(data.credential),
        mode: String(data.mode),
        isHeld: false,
        isBraked: false,
        isFreed: false,
        isGivenUp: false,
        asked: new Set(),
      })
    const rotation = this.#open.get(stream)
    if (rotation) this.#step(rotation, entry)
    if (type === 'RotationClosed') this.#open.delete(stream)
  }

  #begin(credential: string, until: number): void {
    this.#until.set(credential, until)
    for (const rotation of this.#open.values())
      if (rotation.credential === credential) rotation.isFreed = false
  }

  #isPaused({ credential, mode, isFreed }: Open, at: number): boolean {
    return mode === 'rotate' && !isFreed && (this.#until.get(credential) ?? 0) > at
  }

  #step(rotation: Open, { stream, type, data, at }: Entry): void {
    if (type === 'ModeRaised') rotation.mode = String(data.mode)
    if (type === 'HoldPlaced' && (data.hold as { reason: string }).reason === 'human')
      this.#held(rotation, stream)
    if (type === 'HoldLifted' && data.reason === 'human')
      this.#lifted(rotation, stream, String(data.because), at)
    const reason = type === 'HoldPlaced' ? (data.hold as { reason: string }).reason : data.reason
    if (type === 'HoldPlaced' && reason === 'error_rate') rotation.isBraked = true
    if (type === 'HoldLifted' && reason === 'error_rate') rotation.isBraked = false
    if (type === 'SuccessorAbandoned') {
      if (data.actor === 'rekey' && (rotation.isGivenUp || this.#isPaused(rotation, at)))
        throw new Violation('pause', `${stream} is paused, and gives its successor up by itself`)
      rotation.isGivenUp = false
    }
    if ((STEPS as string[]).includes(type) && rotation.isBraked && rotation.mode === 'rotate')
      throw new Violation('brake', `${stream} has braked, and goes on: ${type}`)
    if ((STEPS as string[]).includes(type) && this.#isPaused(rotation, at))
      throw new Violation('pause', `${stream} is paused, and goes on: ${type}`)
  }

  #held(rotation: Open, stream: string): void {
    if (rotation.mode !== 'rotate')
      throw new Violation('pause', `${stream} is an emergency, and is held by a human`)
    rotation.isHeld = true
  }

  #lifted(rotation: Open, stream: string, because: string, at: number): void {
    rotation.isHeld = false
    const isPaused = this.#isPaused(rotation, at)
    rotation.isGivenUp = isPaused && because === 'the successor is abandoned'
    if (because.startsWith('resumed by') || rotation.isGivenUp) rotation.isFreed = true
    else if (isPaused && !because.startsWith('held anew by'))
      throw new Violation('pause', `${stream} is paused, and its hold is lifted: ${because}`)
  }

  /** What is asked for outside, and emergencies that are held. */
  afterStep(): void {
    const now = this.#world.ground.ledgerNow
    for (const [stream, rotation] of this.#open) {
      if (rotation.mode !== 'rotate' && rotation.isHeld)
        throw new Violation('pause', `${stream} is an emergency, and still held by a human`)
      if (this.#isPaused(rotation, now)) this.#asked(stream, rotation)
      else delete rotation.asked
    }
  }

  #asked(stream: string, rotation: Open): void {
    const asked = new Set<string>()
    for (const row of this.#world.ledger.tables.effects.hot()) {
      if (`rotation/${row.rotation}` !== stream) continue
      const { effect, key } = row
      const isFirst = BEGINNING.includes(effect.kind) || (effect.kind === 'revoke' && effect.round === 0)
      if (isFirst && rotation.asked && !rotation.asked.has(key))
        throw new Violation('pause', `${stream} is paused, and asks for ${key}`)
      asked.add(key)
    }
    rotation.asked ??= asked
  }
}
