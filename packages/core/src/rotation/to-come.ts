import { isCompromised, type Rotation } from './state.ts'

/** A successor is on its way up, or will be planned. */
export function isToCome(rotation: Rotation): boolean {
  const { successor } = rotation
  return successor?.step === 'abandoned' ? followsAnother(rotation) : successor !== null
}

/** Will another successor come after this abandoned one? */
export function followsAnother(rotation: Rotation): boolean {
  const { successor, base, goal } = rotation
  return (
    goal === 'replace' &&
    successor?.step === 'abandoned' &&
    (successor.superseded || isCompromised(rotation, base))
  )
}
