import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newAuthority, Refusal } from './authority.ts'

const LISTS = [
  'packages/contracts/src/authorities/index.ts',
  'services/rotator/src/authorities.ts',
  'services/rotator/package.json',
  'test/tidy/import-rights.unit.test.ts',
  'ARCHITECTURE.md',
  'docs/README.md',
]
const HERE = new URL('../../../', import.meta.url).pathname

let root: string
const read = (path: string) => readFile(join(root, path), 'utf8')
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rekey-new-'))
  for (const path of LISTS) await cp(join(HERE, path), join(root, path))
})
afterEach(() => rm(root, { recursive: true }))

test('a new kind is a folder, a definition, and one line where all kinds are listed', async () => {
  const { made, changed } = await newAuthority(root, 'acme-token')
  expect(made).toEqual([
    'packages/backend-acme-token/README.md',
    'packages/backend-acme-token/package.json',
    'packages/backend-acme-token/src/authority.int.test.ts',
    'packages/backend-acme-token/src/authority.ts',
    'packages/backend-acme-token/src/index.ts',
    'packages/backend-acme-token/test/given-acme-token.ts',
    'packages/backend-acme-token/turbo.json',
    'packages/contracts/src/authorities/acme-token.ts',
  ])
  expect(changed).toEqual(LISTS.toSorted())
  for (const path of made) expect(await read(path), path).not.toContain('{{')
  expect(await read('packages/backend-acme-token/src/authority.ts')).toContain('type AcmeTokenSpec')
  expect(await read('packages/contracts/src/authorities/index.ts')).toMatch(
    /AUTHORITIES = \[[^\]]*,\s+acmeToken,?\s*\] as const/,
  )
  expect(await read('services/rotator/src/authorities.ts')).toContain(
    "case 'acme-token':\n        return acmeTokenAuthority(spec)",
  )
  for (const path of LISTS) {
    const before = (await readFile(join(HERE, path), 'utf8')).split('\n')
    const after = (await read(path)).split('\n')
    expect(
      before.filter((line) => !after.includes(line) && !line.includes('AUTHORITIES = [')),
      path,
    ).toEqual([])
  }
})

test('what is there already is not touched, and a name that is none is refused', async () => {
  await newAuthority(root, 'acme-token')
  const kept = await read('packages/contracts/src/authorities/index.ts')
  await expect(newAuthority(root, 'acme-token')).rejects.toThrow('is there already')
  expect(await read('packages/contracts/src/authorities/index.ts')).toBe(kept)
  for (const name of ['', 'Acme', 'acme_token', '-acme', 'acme--token', '../acme', 'a'.repeat(41)])
    await expect(newAuthority(root, name), name).rejects.toThrow(Refusal)
})

test('nothing is made where a list is not as it was', async () => {
  await rm(join(root, 'docs/README.md'))
  await cp(join(HERE, 'README.md'), join(root, 'docs/README.md'))
  await expect(newAuthority(root, 'acme-token')).rejects.toThrow('docs/README.md has no line like')
  await expect(read('packages/contracts/src/authorities/acme-token.ts')).rejects.toThrow('ENOENT')
})
