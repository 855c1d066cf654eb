import { describe, expect, test } from 'vitest'
import { replay } from './replay.ts'
import { BOUNDED, DEEP, GOALS, MUTATIONS, REFUTED } from './runs.ts'
import { check, type World } from './spin.ts'
import { trail } from './trail.ts'

const runs = process.env.REKEY_DEEP === '1' ? [...BOUNDED, ...DEEP] : BOUNDED

describe('every state of a small world', () => {
  test.each(runs)('$model: $name', async (run) => {
    const { found, states, unreached } = await check(run)
    expect(found).toBeUndefined()
    expect(states).toBeGreaterThan(100)
    // A world in which nothing ends would be without an error, too.
    for (const end of run.ends) expect(unreached.filter((line) => line.includes(`END ${end}`))).toEqual([])
  })
})

/** The shortest way in the model, and what the core makes of it. */
async function onTheCore(world: World, helps: boolean) {
  const found = await trail(world)
  if (!found) throw new Error('the model finds no way')
  const number = (name: string) =>
    Number(world.defines.find((d) => d.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0)
  const mode = world.defines.includes('MODE=EXPEDITE') ? 'expedite' : 'rotate'
  const nodes = number('N') - number('JOINERS')
  return { ...found, ...replay(world.model, found.steps, { nodes, mode, helps }) }
}

describe('the core follows a way that ends well', () => {
  test.each(GOALS)('$model: $name', async (goal) => {
    const { what, steps, followed, stopped, rotation, violations } = await onTheCore(goal, true)
    expect(what).toBe('goal')
    expect({ stopped, followed }).toEqual({ stopped: undefined, followed: steps.length })
    expect(rotation.outcome).toBe(goal.outcome)
    expect(violations).toEqual([])
  })
})

describe.each([
  ['a rule that is switched off', MUTATIONS],
  ['a reading of the rules that is wrong', REFUTED],
])('%s has a counterexample, on which the core keeps its promises', (_, worlds) => {
  test.each(worlds)('$model: $rule ($breaks)', async (world) => {
    const { what, violations } = await onTheCore(world, false)
    expect(what).toBe(world.breaks)
    expect(violations.map((text) => text.replace(/^step \d+: /, ''))).toEqual(world.onTheCore)
  })
})
