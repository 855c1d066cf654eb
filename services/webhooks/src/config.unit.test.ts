import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import { givenFolder, keptLog, writeConfiguration } from '../test/given.ts'
import { signature } from '../test/payloads.ts'
import { Config, readSources } from './config.ts'
import { isSigned } from './proof.ts'
import { SOURCES } from './sources/registry.ts'

let folder: ReturnType<typeof givenFolder>
const { logger, lines } = keptLog()
beforeEach(() => {
  folder = givenFolder()
})
afterEach(() => {
  vi.useRealTimers()
  folder.end()
})

describe('the configuration file', () => {
  test('opens the sources that it names, each in its own name', () => {
    const file = writeConfiguration(folder, { flux: { emitter: 'cluster-a' } })
    expect(readSources(file, logger).sources.map(({ name, emitter }) => [name, emitter])).toEqual([
      ['github', 'github'],
      ['argocd', 'argocd'],
      ['flux', 'cluster-a'],
    ])
  })

  test('finds files from its own folder', () => {
    const file = writeConfiguration(folder, { github: { api: { tokenFile: 'github-token' } } })
    expect(readSources(file, logger).api).toEqual({
      url: 'https://api.github.com',
      tokenFile: `${folder.dir}/github-token`,
    })
  })

  test.each<[string, string, string]>([
    ['nothing', '{}', 'names no source'],
    ['a source that there is not', 'gitlab: {}', 'Unrecognized key: "gitlab"'],
    ['a fault', 'flux: { secretFiles: [x], objects: [{ kind: Deployment }] }', 'flux.objects.0.kind'],
    ['no YAML', 'github: [', 'cannot be read as YAML'],
    ['a secret that is not there', 'flux: { secretFiles: [none] }', 'cannot read the secret file'],
  ])('with %s ends the start, and says why', (_what, text, why) => {
    expect(() => readSources(folder.file('webhooks.yaml', text), logger)).toThrow(why)
  })

  test('with a secret that could be guessed ends the start, and does not print it', () => {
    folder.file('short', 'hunter2')
    const file = folder.file('webhooks.yaml', 'flux: { secretFiles: [short] }')
    expect(() => readSources(file, logger)).toThrow('shorter than 16')
    expect(() => readSources(file, logger)).not.toThrow('hunter2')
  })
})

test('a secret is replaced without a restart, and one that is gone for a moment still counts', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const [{ secrets } = { secrets: () => [] }] = readSources(writeConfiguration(folder), logger).sources
  const next = 'the-next-secret-of-theirs'
  const signed = () => isSigned(Buffer.from('x'), signature('x', next), secrets())
  expect(signed()).toBe(false)
  folder.file('github-secret', next)
  vi.advanceTimersByTime(6_000)
  expect(signed()).toBe(true)
  folder.file('github-secret', '')
  vi.advanceTimersByTime(6_000)
  expect(signed()).toBe(true)
  expect(lines.join()).not.toContain(next)
})

describe('the environment', () => {
  const env = { KAFKA_BROKERS: 'a:9092', WEBHOOKS_CONFIG_FILE: 'x', WEBHOOKS_SPOOL_DIR: 'y' }
  test('has defaults', () => {
    expect(Config.parse(env)).toMatchObject({ WEBHOOKS_PORT: 7480, WEBHOOKS_HOST: '127.0.0.1' })
  })
  test.each([
    ['no broker', { KAFKA_BROKERS: ' , ' }],
    ['half of TLS', { WEBHOOKS_TLS_CERT_FILE: 'x' }],
    ['half of an identity', { VAULT_ROLE_ID_FILE: 'x' }],
  ])('with %s is refused', (_what, over) => {
    expect(Config.safeParse({ ...env, ...over }).success).toBe(false)
  })
})

test('the example of a configuration is one, and has every source', () => {
  const path = fileURLToPath(new URL('../../../examples/webhooks/webhooks.yaml', import.meta.url))
  expect(existsSync(path)).toBe(true)
  const document = parse(readFileSync(path, 'utf8'))
  for (const { name, section } of SOURCES)
    expect(section.safeParse(document[name]).error, name).toBeUndefined()
  expect(Object.keys(document).sort()).toEqual(SOURCES.map(({ name }) => name).sort())
})
