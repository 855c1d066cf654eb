import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileAdapter } from './adapter.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-file-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const accept = [2, 1].map((generation) => ({
  generation,
  keyId: `chat.g${generation}`,
  value: Secret.of(`value-${generation}`),
}))

test('values are written as JSON, oldest first, for the owner only, and nothing else is left behind', async () => {
  const path = join(dir, 'keys.json')
  const adapter = fileAdapter({ credential: 'chat', kind: 'file', path, format: 'json' })
  await adapter.apply(accept)
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
    accept: [
      { key_id: 'chat.g1', generation: 1, value: 'value-1' },
      { key_id: 'chat.g2', generation: 2, value: 'value-2' },
    ],
  })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(dir)).toEqual(['keys.json'])
})

test('plain format is one value a line', async () => {
  const path = join(dir, 'keys')
  await fileAdapter({ credential: 'chat', kind: 'file', path, format: 'plain' }).apply(accept)
  expect(await readFile(path, 'utf8')).toBe('value-1\nvalue-2\n')
})

test('the same values are not written again, and other content is noticed', async () => {
  const path = join(dir, 'keys')
  const adapter = fileAdapter({ credential: 'chat', kind: 'file', path, format: 'plain' })
  await adapter.apply(accept)
  const { ino } = await stat(path)
  await adapter.apply(accept)
  expect((await stat(path)).ino).toBe(ino)
  expect(await adapter.holds?.(accept)).toBe(true)
  await rm(path)
  expect(await adapter.holds?.(accept)).toBe(false)
})

test('without a probe URL a try says unknown and nothing more', async () => {
  const adapter = fileAdapter({ credential: 'chat', kind: 'file', path: join(dir, 'k'), format: 'json' })
  expect(adapter.canTry).toBe(false)
  expect(await adapter.tryValue(Secret.of('x'))).toBe('unknown')
})
