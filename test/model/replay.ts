import type { Rotation } from '@rekey/core'
import { broken } from './promises.ts'
import { ReplayedWorld } from './replayed-world.ts'
import type { Model } from './spin.ts'
import { Stopped } from './stopped.ts'
import type { Step } from './trail.ts'

/**
 * The real core, led through a way of the model: what comes from outside in the trail comes to the core, and the world
 * around it does what the trail says. The core decides at once where the model may wait, and it may refuse a step that
 * the model takes: then the way ends there, which is what one hopes for where the way leads to a failure.
 */
export type Replayed = {
  /** How many steps were taken. */
  followed: number
  /** Why the next one could not be. */
  stopped: string | undefined
  rotation: Rotation
  /** Promises that were broken on the way. */
  violations: string[]
}

export type Options = {
  nodes: number
  /** The mode that the rotation opens with. */
  mode?: Rotation['mode']
  /** The core may ask nodes more often than the model: whenever the model decides, they have done what they were told. */
  helps?: boolean
}

export function replay(
  model: Model,
  steps: readonly Step[],
  { nodes, mode = 'rotate', helps = false }: Options,
): Replayed {
  const world = new ReplayedWorld(model, nodes, mode, helps)
  const violations: string[] = []
  let followed = 0
  try {
    for (const step of steps) {
      world.take(step)
      violations.push(...broken(world).map((text) => `step ${followed}: ${text}`))
      followed++
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
    return { followed, stopped: error.message, rotation: world.rotation, violations }
  }
  return { followed, stopped: undefined, rotation: world.rotation, violations }
}
