import { Secret } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { linesOf, linesWithout } from './key-lines.ts'

const one = (generation: number, value: string, keyId = `chat.g${generation}`) => ({
  generation,
  keyId,
  value: Secret.of(value),
})
const [first, second] = ['A-value_of-16-ch', 'another-value-of-some-length']

test('each value is one line, oldest first, and none is no line', () => {
  expect(linesOf([one(2, second), one(1, first)])).toBe(
    `"~^${first}$" "chat.g1";\n"~^${second}$" "chat.g2";\n`,
  )
  expect(linesOf([])).toBe('')
})

test.each([
  'short',
  'x'.repeat(257),
  `${first}" "chat.g9`,
  `${first}$`,
  `${first}\n`,
  `${first};`,
  `${first}\\`,
  `${first} x`,
  `~${first}`,
  `.*${first}`,
  `${first}é`,
  'include ../../passwd',
])('the value %j is not given to NGINX, and not quoted', (value) => {
  expect(() => linesOf([one(3, value)])).toThrow('the value of generation 3 is not')
  expect(() => linesOf([one(3, value)])).not.toThrow(value)
})

test.each(['a" "b', 'a;b', 'a\nb', ''])('the key id %j is refused', (keyId) => {
  expect(() => linesOf([one(1, first, keyId)])).toThrow('out of range')
})

test('two generations with one value are one line, of the later one', () => {
  expect(linesOf([one(1, first), one(2, first)])).toBe(`"~^${first}$" "chat.g2";\n`)
})

test('generations are dropped by their key id, and what is not known stays', () => {
  const text = `${linesOf([one(1, first), one(12, second)])}"~^by-hand-by-hand-$" "other.g1";\n`
  expect(linesWithout(text, 'chat', [1])).toBe(
    `"~^${second}$" "chat.g12";\n"~^by-hand-by-hand-$" "other.g1";\n`,
  )
  expect(linesWithout(text, 'chat', [2])).toBe(text)
  expect(linesWithout('', 'chat', [2])).toBe('')
})
