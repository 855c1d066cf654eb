import { mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { openSpool } from './spool.ts'

let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'rekey-spool-')), 'spool')
})
const ignore = () => undefined

test('what is kept is there for the next process, until it is removed', async () => {
  const spool = await openSpool<{ n: number }>(folder)
  await spool.keep('a', { n: 1 })
  await spool.keep('b', { n: 2 })
  await spool.keep('a', { n: 3 })
  await spool.remove('b')
  await spool.remove('b')
  const next = await openSpool<{ n: number }>(folder)
  expect(await next.read(ignore)).toEqual([{ id: 'a', record: { n: 3 } }])
})

test('it is for the eyes of its process', async () => {
  const spool = await openSpool(folder)
  await spool.keep('a', {})
  expect(statSync(folder).mode & 0o077).toBe(0)
  expect(statSync(join(folder, 'a.json')).mode & 0o077).toBe(0)
})

test('a full one takes no more, and changes what it has', async () => {
  const spool = await openSpool(folder, 2)
  await spool.keep('a', 1)
  await spool.keep('b', 1)
  await expect(spool.keep('c', 1)).rejects.toMatchObject({ code: 'backend_unavailable' })
  await spool.keep('b', 2)
  expect(await spool.read(ignore)).toHaveLength(2)
})

test('what is no record is left alone, and told', async () => {
  const spool = await openSpool(folder)
  await spool.keep('a', 1)
  writeFileSync(join(folder, 'torn.json'), '{"n":')
  const unreadable: string[] = []
  expect(await spool.read((id) => unreadable.push(id))).toEqual([{ id: 'a', record: 1 }])
  expect(unreadable).toEqual(['torn'])
  expect(readdirSync(folder).toSorted()).toEqual(['a.json', 'torn.json'])
})

test('an id that would lead out of the folder is refused', async () => {
  const spool = await openSpool(folder)
  await expect(spool.keep('../a', 1)).rejects.toThrow(TypeError)
})
