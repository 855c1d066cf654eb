import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DesiredState } from '@rekey/contracts'
import { ensurePrivateFolder } from '@rekey/runtime'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileJournal } from './journal.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-journal-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const state: DesiredState = {
  credential: 'chat',
  revision: 3,
  accept: [{ generation: 1, keyId: 'chat.g1' }],
  refuse: [],
  floor: 1,
  store: { kind: 'vault-kv', mount: 'secret', path: 'chat' },
}

test('what was written is read back, for the owner only', async () => {
  const journal = fileJournal(dir, 'chat')
  expect(await journal.read()).toBeUndefined()
  await journal.write({ desired: state })
  expect(await fileJournal(dir, 'chat').read()).toEqual({ desired: state })
  expect((await stat(join(dir, 'journal-chat.json'))).mode & 0o777).toBe(0o600)
})

test('a temporary file of a crash is no obstacle', async () => {
  await writeFile(join(dir, 'journal-chat.json.tmp'), '{"desi')
  await fileJournal(dir, 'chat').write({ desired: state })
  expect(await readdir(dir)).toEqual(['journal-chat.json'])
})

test('a damaged journal is none', async () => {
  await writeFile(join(dir, 'journal-chat.json'), '{"desired":{"credential":"chat"}}')
  expect(await fileJournal(dir, 'chat').read()).toBeUndefined()
})

test('a state folder that others can open is refused', async () => {
  await ensurePrivateFolder(join(dir, 'state'))
  expect((await stat(join(dir, 'state'))).mode & 0o777).toBe(0o700)
  const { chmod } = await import('node:fs/promises')
  await chmod(join(dir, 'state'), 0o750)
  await expect(ensurePrivateFolder(join(dir, 'state'))).rejects.toThrow(/open to others \(mode 750\)/)
})
