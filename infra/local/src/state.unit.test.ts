import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readState, writeState } from './state.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-state-'))
})

afterEach(() => rm(dir, { recursive: true, force: true }))

test('what was written is read, from a file that only its owner may read and nothing beside it', async () => {
  await writeState(dir)
  expect(await readState(dir)).toMatchObject({ launcher: { pid: process.pid }, ready: false })
  expect(await readdir(dir)).toEqual(['stack.json'])
  expect((await stat(join(dir, 'stack.json'))).mode & 0o777).toBe(0o600)
})

test.each(['', '{ "launcher": { "pid": 1', 'null'])('a state of %j is not there yet', async (text) => {
  await writeFile(join(dir, 'stack.json'), text)
  expect(await readState(dir)).toBeUndefined()
})

test('a reader never meets half a state', async () => {
  await writeState(dir)
  let writing = true
  const writer = (async () => {
    for (let i = 0; i < 100; i++) await writeState(dir)
    writing = false
  })()
  while (writing) expect(await readState(dir)).toBeDefined()
  await writer
})
