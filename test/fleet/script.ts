import { Random } from '../simulation/random.ts'

/** What befalls nodes and fleet while a rotation runs. */
export const FAULTS = [
  /** Its process dies and comes back on its own disk. */
  'killed',
  /** It comes back from an image of its disk that is some entries old. */
  'old image',
  /** It comes back with an empty disk. */
  'no journal',
  /** Its connection is destroyed under it. */
  'cut',
  /** Whatever it is told takes it much longer. */
  'slow',
  /** Its own path refuses the next value. */
  'refuses',
  /** It never comes back, and somebody says so once the rotation waits for it. */
  'gone for good',
  /** A new node enrols. */
  'joiner',
  /** The instance that it is at is killed, and started again. */
  'instance killed',
  /** It connects to the other instance. */
  'moves',
  /** It sends the proof of an older session again. */
  'replays',
] as const
export type Fault = (typeof FAULTS)[number]

/** The steps of a rotation at which something can happen, as its journal names them. */
export const MOMENTS = [
  'RotationOpened',
  'StagingStarted',
  'RollingStarted',
  'PromotionAsked',
  'ConfirmingStarted',
  'DrainingStarted',
  'RevocationStarted',
] as const
export type Moment = (typeof MOMENTS)[number]

export type Blow = { at: Moment; fault: Fault /** From 0 up to 1: which of the nodes. */; whom: number }
export type Act = { blows: Blow[] }

/** Before the value exists, so that no node has proved it yet. */
const EARLY: readonly Moment[] = ['RotationOpened']
/** Until the base dies every node is waited for, so that one that is gone for good holds the rotation. */
const BEFORE_DEATH: readonly Moment[] = [
  'RotationOpened',
  'StagingStarted',
  'RollingStarted',
  'PromotionAsked',
]

/** So many rotations with so many faults each; every fault comes up before one comes up again. */
export function script(seed: number, { rotations, faults }: { rotations: number; faults: number }): Act[] {
  const random = new Random(seed)
  let deck: Fault[] = []
  const next = () => {
    if (deck.length === 0) deck = shuffled([...FAULTS], random)
    return deck.pop() as Fault
  }
  return Array.from({ length: rotations }, () => ({
    blows: Array.from({ length: faults }, () => {
      const fault = next()
      const moments = fault === 'refuses' ? EARLY : fault === 'gone for good' ? BEFORE_DEATH : MOMENTS
      return { at: random.pick(moments), fault, whom: random.next() }
    }),
  }))
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let last = list.length - 1; last > 0; last--) {
    const other = random.between(0, last)
    ;[list[last], list[other]] = [list[other] as T, list[last] as T]
  }
  return list
}
