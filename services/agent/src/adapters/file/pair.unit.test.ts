import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileAdapter } from './adapter.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-pair-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const block = (label: string, text: string) =>
  `-----BEGIN ${label}-----\n${btoa(text)}\n-----END ${label}-----`
const certificate = (n: number) => block('CERTIFICATE', `certificate ${n}`)
const key = (n: number) => block('PRIVATE KEY', `key ${n}`)
const CA = block('CERTIFICATE', 'the authority')

const bundle = (n: number) => ({
  generation: n,
  keyId: `aa:0${n}`,
  value: Secret.of([certificate(n), CA, key(n)].join('\n')),
})

const given = () => fileAdapter({ credential: 'shop', kind: 'file', path: join(dir, 'tls'), format: 'tls' })
const read = (name: string) => readFile(join(dir, 'tls', name), 'utf8')
const setsIn = async () => (await readdir(join(dir, 'tls'))).filter((name) => /^\.\.[0-9a-f]+$/.test(name))

test('a pair is two files, the certificate with its chain and the key, for the owner only', async () => {
  await given().apply([bundle(1)])
  expect(await read('tls.crt')).toBe(`${certificate(1)}\n${CA}\n`)
  expect(await read('tls.key')).toBe(`${key(1)}\n`)
  expect((await stat(join(dir, 'tls', 'tls.key'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(dir, 'tls'))).mode & 0o777).toBe(0o700)
})

test('both change by one link, and the pair before stays for who reads it, until the next order', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  const before = await readlink(join(dir, 'tls', '..data'))
  await adapter.apply([bundle(2)])
  expect(await read(`${before}/tls.crt`)).toContain(certificate(1))
  expect(await read(`${before}/tls.key`)).toBe(`${key(1)}\n`)
  expect([await read('tls.crt'), await read('tls.key')]).toEqual([
    `${certificate(2)}\n${CA}\n`,
    `${key(2)}\n`,
  ])
  await adapter.apply([bundle(2)])
  expect(await setsIn()).toEqual([await readlink(join(dir, 'tls', '..data'))])
})

test('whoever reads through what the link is has a certificate and its own key, however often they change', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  let going = true
  let pairs = 0
  const reading = (async () => {
    while (going) {
      try {
        const set = await readlink(join(dir, 'tls', '..data'))
        const [crt, own] = [await read(`${set}/tls.crt`), await read(`${set}/tls.key`)]
        const [n] = [1, 2, 3].filter((one) => crt.startsWith(certificate(one)))
        expect(own).toBe(`${key(n ?? 0)}\n`)
        pairs++
      } catch (error) {
        // Two changes since it looked at the link: it looks again.
        expect(error).toMatchObject({ code: 'ENOENT' })
      }
    }
  })()
  for (let n = 0; n < 60; n++) await adapter.apply([bundle((n % 3) + 1)])
  going = false
  await reading
  expect(pairs).toBeGreaterThan(20)
})

test('the same pair is not written again, and what somebody changed is noticed and mended', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  const { ino } = await stat(join(dir, 'tls', 'tls.key'))
  await adapter.apply([bundle(1)])
  expect((await stat(join(dir, 'tls', 'tls.key'))).ino).toBe(ino)
  for (const harm of [
    () => writeFile(join(dir, 'tls', 'tls.crt'), 'x'),
    () => rm(join(dir, 'tls', 'tls.key')),
    () => rm(join(dir, 'tls', '..data')),
    () => rm(join(dir, 'tls'), { recursive: true }),
    async () => {
      await rm(join(dir, 'tls', 'tls.crt'))
      await writeFile(join(dir, 'tls', 'tls.crt'), `${certificate(2)}\n`)
    },
  ]) {
    await harm()
    expect(await adapter.holds?.([bundle(1)])).toBe(false)
    await adapter.apply([bundle(1)])
    expect(await adapter.holds?.([bundle(1)])).toBe(true)
    expect(await read('tls.key')).toBe(`${key(1)}\n`)
  }
})

test('what a crash left behind is no harm, and goes', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  await writeFile(join(dir, 'tls', '..data.tmp'), '')
  await rm(join(dir, 'tls', 'tls.key'))
  await adapter.apply([bundle(2)])
  await adapter.apply([bundle(2)])
  expect((await readdir(join(dir, 'tls'))).toSorted()).toEqual(
    ['..data', ...(await setsIn()), 'tls.crt', 'tls.key'].toSorted(),
  )
  expect(await setsIn()).toHaveLength(1)
})

test('nothing to present is no file, and no key is left', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  await adapter.apply([])
  expect(await adapter.holds?.([])).toBe(true)
  for (const name of ['tls.crt', 'tls.key'])
    await expect(read(name)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await setsIn()).toHaveLength(1)
  expect(await readdir(join(dir, 'tls', (await setsIn())[0] ?? ''))).toEqual([])
})

test('what is no certificate with its key is not written, and not quoted', async () => {
  const adapter = given()
  await adapter.apply([bundle(1)])
  for (const text of [
    'planted-no-pem',
    key(2),
    certificate(2),
    [certificate(2), key(2), key(3)].join('\n'),
  ]) {
    const applying = adapter.apply([{ generation: 2, keyId: 'x', value: Secret.of(text) }])
    await expect(applying).rejects.toThrow('no certificate with its private key')
    await expect(applying).rejects.not.toThrow(text.slice(0, 12))
  }
  expect(await read('tls.key')).toBe(`${key(1)}\n`)
})
