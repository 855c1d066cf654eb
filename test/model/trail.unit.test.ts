import { expect, test } from 'vitest'
import { read } from './spin.ts'
import { parse } from './trail.ts'

test('a line of the model becomes a step', () => {
  expect(parse('effect-done PROMOTE 1 g2')).toEqual({
    type: 'EffectDone',
    kind: 'promote',
    target: 'second',
    generation: 2,
  })
  expect(parse('worker-paused REINST 2 g0')).toMatchObject({ kind: 'reinstate', target: 'authority' })
  expect(parse('late-act-unheard 7 2 g1')).toMatchObject({ kind: 'suspend', heard: false })
  expect(parse('node-told-late n2 r3')).toEqual({ type: 'NodeTold', node: 'n2', revision: 3, late: true })
  expect(parse('leak g1 mode2')).toEqual({ type: 'Leak', generation: 1, mode: 'contain' })
  expect(parse('client-moved 0 g1')).toEqual({ type: 'ClientMoved', store: 'first', generation: 1 })
})

test('a line that is not known is an error', () => {
  expect(() => parse('node-danced n1')).toThrow('not known')
  expect(() => parse('effect-done JUGGLE 0 g1')).toThrow('no kind')
})

const SEARCHED = `State-vector 188 byte, depth reached 263, errors: 0
    22311 states, stored
    85600 transitions (= stored+matched)
   18.034	total actual memory usage
unreached in proctype Coordinator
	rules.pml:152, state 426, "printf('END rolled back\\n')"
	(1 of 431 states)
0m0.00s 0m0.00s
0m1.20s 0m0.30s
`

test('what a search says is read', () => {
  const result = read(SEARCHED)
  expect(result).toMatchObject({
    states: 22_311,
    transitions: 85_600,
    depth: 263,
    memoryMb: 18.034,
    seconds: 1.5,
  })
  expect(result.unreached.join()).toContain('END rolled back')
})

test.each(['max search depth too small', 'pan: out of memory', 'pan: reached -DMEMLIM bound'])(
  'a search that saw only a part is an error: %s',
  (problem) => {
    expect(() => read(`${problem}\n${SEARCHED}`)).toThrow('incomplete')
  },
)
