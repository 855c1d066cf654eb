import type { World } from '../world.ts'
import { Violation } from './violation.ts'

export type Entry = World['ledger']['tables']['journal'][number]

/** What one credential went through, as its journal says it; kept here, not taken from the core's state. */
export type Chronicle = {
  credential: string
  /** Generations that leaked, by what people said. */
  compromised: Set<number>
  /** Revoked in a containment: their holders were left without, on purpose. */
  contained: Set<number>
  /** The authority had ended them before Rekey was told. */
  foundDead: Set<number>
  dead: Map<number, { exceptions: string[] }>
  revoked: Set<number>
  /** The generation that clients shall use: the last one that all stores were moved to. */
  current: number | null
  /** When the stores last moved in the present rotation, on the world's clock. */
  movedAt: number
  highest: number
  revision: number
  /** Generations that nodes were told of, so that somebody may use them. */
  told: Set<number>
  /** Offboarded after a time in which no client had it: one that could not read it then finds that it has ended. */
  leftUnused: Set<number>
  /** Generations that some store was asked to show. */
  promoted: Set<number>
  /** Who of the nodes is excused, until when (ledger's clock). */
  excused: Map<string, number>
  /** Nodes that a wave did not wait for, out loud, until they reach its revision. */
  leftBehind: Map<string, number>
}

/** Reads the journal as it grows, and checks that its counters only grow. */
export class Record_ {
  readonly #world: World
  readonly chronicles = new Map<string, Chronicle>()
  readonly gone = new Set<string>()
  readonly #seqs = new Map<string, number>()
  readonly #rotations = new Map<string, { credential: string; base: number | null; goal: unknown }>()
  #read = 0

  constructor(world: World) {
    this.#world = world
    for (const { name, isAdopted } of world.scenario.credentials)
      this.chronicles.set(name, {
        credential: name,
        compromised: new Set(),
        contained: new Set(),
        foundDead: new Set(),
        dead: new Map(),
        revoked: new Set(),
        current: isAdopted ? 1 : null,
        movedAt: 0,
        highest: isAdopted ? 1 : 0,
        revision: 0,
        told: new Set(isAdopted ? [1] : []),
        leftUnused: new Set(),
        promoted: new Set(isAdopted ? [1] : []),
        excused: new Map(),
        leftBehind: new Map(),
      })
  }

  of(credential: string): Chronicle {
    const found = this.chronicles.get(credential)
    if (!found) throw new Error(`no chronicle of ${credential}`)
    return found
  }

  /** What is new in the journal, in order. */
  *news(): Generator<{ entry: Entry; about: Chronicle | undefined }> {
    const { journal } = this.#world.ledger.tables
    while (this.#read < journal.length) {
      const entry = journal[this.#read] as Entry
      this.#read++
      if (entry.position !== this.#read)
        throw new Violation('I6', `position ${entry.position} is not the next`)
      if (entry.seq !== (this.#seqs.get(entry.stream) ?? 0) + 1)
        throw new Violation('I6', `${entry.stream} has no entry before ${entry.seq}`)
      this.#seqs.set(entry.stream, entry.seq)
      this.#world.ground.note('journal', entry.stream, entry.type, entry.data)
      yield { entry, about: this.#chronicle(entry) }
    }
  }

  #chronicle({ stream, type, data }: Entry): Chronicle | undefined {
    if (stream.startsWith('node/')) this.#node(type, data)
    if (!stream.startsWith('rotation/')) return undefined
    const id = stream.slice('rotation/'.length)
    if (type === 'RotationOpened')
      this.#rotations.set(id, {
        credential: String(data.credential),
        base: data.base as number | null,
        goal: data.goal,
      })
    const rotation = this.#rotations.get(id)
    return rotation && this.of(rotation.credential)
  }

  /** The base of the rotation that an entry belongs to. */
  baseOf({ stream }: Entry): number | null {
    return this.#rotations.get(stream.slice('rotation/'.length))?.base ?? null
  }

  /** Nothing follows: readers find it in the stores for as long as it is held there. */
  isOffboarding({ stream }: Entry): boolean {
    return this.#rotations.get(stream.slice('rotation/'.length))?.goal === 'retire'
  }

  #node(type: string, data: Entry['data']): void {
    const node = String(data.node)
    if (type === 'NodeGone') this.gone.add(node)
    if (type === 'NodeEnrolled') this.gone.delete(node)
    if (type !== 'NodeExcused') return
    for (const credential of data.credentials as string[])
      this.of(credential).excused.set(node, Date.parse(String(data.until)))
  }

  /** Notes what an entry says. Called after it was checked against what was so before. */
  take({ type, data, stream }: Entry, about: Chronicle): void {
    const generation = Number(data.generation)
    switch (type) {
      case 'RotationOpened':
        about.movedAt = 0
        for (const leaked of data.compromised as number[]) about.compromised.add(leaked)
        this.#numbered(about, data.generation as number | null)
        return
      case 'SuccessorPlanned':
        this.#numbered(about, generation)
        this.#rotations.set(stream.slice('rotation/'.length), {
          credential: about.credential,
          base: data.base as number | null,
          goal: 'replace',
        })
        return
      case 'GenerationsCompromised':
        for (const leaked of data.generations as number[]) about.compromised.add(leaked)
        return
      case 'WaveStarted': {
        const revision = Number(data.revision)
        if (revision <= about.revision)
          throw new Violation('I6', `revision ${revision} of ${about.credential} follows ${about.revision}`)
        about.revision = revision
        return
      }
      case 'WaveProved':
        for (const node of [...(data.excused as string[]), ...(data.lost as string[])])
          about.leftBehind.set(node, Number(data.revision))
        return
      case 'RollingStarted':
        about.told.add(generation)
        return
      case 'PromotionAsked':
        about.promoted.add(generation)
        return
      case 'StorePromoted':
      case 'StoreRestored':
        about.movedAt = this.#world.ground.now
        return
      case 'ConfirmingStarted':
        about.current = generation
        return
      case 'SuccessorAbandoned':
        about.current = this.baseOf({ type, data, stream } as Entry)
        return
      case 'RevocationStarted':
        about.revoked.add(generation)
        if (data.mode === 'contain') about.contained.add(generation)
        return
      case 'GenerationDead':
        about.dead.set(generation, { exceptions: data.exceptions as string[] })
        return
      default:
        return
    }
  }

  /** Generations are numbered upwards, and no number is used twice. */
  #numbered(about: Chronicle, generation: number | null): void {
    if (generation === null) return
    if (generation <= about.highest)
      throw new Violation('I6', `generation ${generation} of ${about.credential} follows ${about.highest}`)
    about.highest = generation
  }
}
