import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Artefact, cached } from './cache.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rekey-cache-'))
})

afterEach(() => rm(root, { recursive: true, force: true }))

const artefact = (build: Artefact['build'], recipe = 'one'): Artefact => ({
  name: 'thing',
  recipe: [recipe],
  notice: 'making a thing',
  build,
})
const makes = (text: string) => (dir: string) => writeFile(join(dir, 'file'), text)
const folders = async () => (await readdir(root)).filter((name) => !name.endsWith('.lock'))

test('is made once for each recipe', async () => {
  const dir = await cached(artefact(makes('first')), () => {}, root)
  expect(await cached(artefact(makes('second')), () => {}, root)).toBe(dir)
  expect(await readFile(join(dir, 'file'), 'utf8')).toBe('first')
  expect(await cached(artefact(makes('third'), 'two'), () => {}, root)).not.toBe(dir)
})

test('leaves nothing behind when it fails, and is tried again', async () => {
  const fails = async (dir: string) => {
    await makes('half')(dir)
    throw new Error('no network')
  }
  await expect(cached(artefact(fails), () => {}, root)).rejects.toThrow('no network')
  expect(await folders()).toEqual([])
  expect(await readFile(join(await cached(artefact(makes('whole')), () => {}, root), 'file'), 'utf8')).toBe(
    'whole',
  )
})

test('clears what a killed set-up has left', async () => {
  await mkdir(join(root, '.thing.building-1'), { recursive: true })
  await cached(artefact(makes('one')), () => {}, root)
  expect(await folders()).toEqual([expect.stringMatching(/^thing-/)])
})

test('is made by one of several processes while the others wait', async () => {
  const script = join(root, 'build.ts')
  await writeFile(
    script,
    `import { appendFileSync, writeFileSync } from 'node:fs'
     import { cached } from ${JSON.stringify(fileURLToPath(new URL('cache.ts', import.meta.url)))}
     const build = async (dir) => {
       appendFileSync(${JSON.stringify(join(root, 'built'))}, 'x')
       await new Promise((resolve) => setTimeout(resolve, 300))
       writeFileSync(dir + '/file', 'done')
     }
     await cached({ name: 'slow', recipe: [], notice: '', build }, () => {}, ${JSON.stringify(root)})`,
  )
  const processes = Array.from({ length: 4 }, () => spawn(process.execPath, [script], { stdio: 'inherit' }))
  const codes = await Promise.all(processes.map(async (child) => (await once(child, 'exit'))[0]))
  expect(codes).toEqual([0, 0, 0, 0])
  expect(await readFile(join(root, 'built'), 'utf8')).toBe('x')
})

test('is made by the next process when the one that made it is killed', async () => {
  const script = join(root, 'hang.ts')
  await writeFile(
    script,
    `import { cached } from ${JSON.stringify(fileURLToPath(new URL('cache.ts', import.meta.url)))}
     const build = () => new Promise(() => setInterval(() => console.log('building'), 50))
     await cached({ name: 'thing', recipe: ['one'], notice: '', build }, () => {}, ${JSON.stringify(root)})`,
  )
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const said: string[] = []
  const next = cached(artefact(makes('two')), (line) => said.push(line), root)
  while (said.length === 0) await delay(20)
  expect(said[0]).toContain('waiting')
  child.kill('SIGKILL')
  expect(await readFile(join(await next, 'file'), 'utf8')).toBe('two')
})
