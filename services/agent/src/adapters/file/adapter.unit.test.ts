import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileConfig, fileAdapter } from './adapter.ts'

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

test('the value alone is the latest one, in one line, or nothing', async () => {
  const path = join(dir, 'login')
  const adapter = fileAdapter({ credential: 'db', kind: 'file', path, format: 'value' })
  await adapter.apply(accept)
  expect(await readFile(path, 'utf8')).toBe('value-2\n')
  await adapter.apply([])
  expect(await readFile(path, 'utf8')).toBe('')
})

test('a login is tried where it says, and shows nothing where that is not there', async () => {
  const config = {
    credential: 'db',
    kind: 'file',
    path: join(dir, 'k'),
    format: 'value',
    probe: 'postgres',
  } as const
  const adapter = fileAdapter(config)
  expect(adapter.canTry).toBe(true)
  const nowhere = {
    username: 'a',
    password: 'b',
    host: '127.0.0.1',
    port: 1,
    dbname: 'd',
    sslmode: 'disable',
  }
  expect(await adapter.tryValue(Secret.of(JSON.stringify(nowhere)))).toBe('unknown')
  expect(await adapter.tryValue(Secret.of('no login'))).toBe('unknown')
})

test('a secret id is tried as the role that is named, and shows nothing where Vault or the role id is not there', async () => {
  const appRole = { addr: 'http://127.0.0.1:1', mount: 'workloads', roleIdFile: join(dir, 'role-id') }
  const config = { credential: 'vault', kind: 'file', path: join(dir, 'k'), format: 'value' } as const
  const adapter = fileAdapter({ ...config, probe: 'approle', appRole })
  expect(adapter.canTry).toBe(true)
  expect(await adapter.tryValue(Secret.of('x'))).toBe('unknown')
  await writeFile(appRole.roleIdFile, 'role\n')
  expect(await adapter.tryValue(Secret.of('x'))).toBe('unknown')
  for (const wrong of [
    { ...config, probe: 'approle' },
    { ...config, appRole },
  ])
    expect(FileConfig.safeParse(wrong).error?.issues).toMatchObject([{ path: ['appRole'] }])
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
