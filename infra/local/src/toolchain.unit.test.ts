import { expect, test } from 'vitest'
import { goVersion } from './go.ts'
import { majorOf } from './java.ts'

test('reads the version of a Java, old and new', () => {
  expect(majorOf('openjdk version "17.0.15" 2025-04-15')).toBe(17)
  expect(majorOf('java version "1.8.0_402"')).toBe(1)
  expect(majorOf('openjdk version "25" 2025-09-16')).toBe(25)
  expect(majorOf('command not found')).toBe(0)
})

test('reads the version of a Go', () => {
  expect(goVersion('go1.26.8\n')).toEqual([1, 26])
  expect(goVersion('devel +4b8f2')).toEqual([])
})
