import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RekeyError } from '@rekey/contracts'
import { certificateAuthority } from '@rekey/testing/certificates'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { svidFor } from '../test/test-authority.ts'
import { until } from '../test/until.ts'
import type { Log } from './log.ts'
import { followSvidBundle, readSvidBundle } from './svid-bundle.ts'

let dir: string
let file: string
const said: string[] = []
const write = (_fields: object, sentence: string) => void said.push(sentence)
const log: Log = { debug: write, info: write, warn: write, error: write }

const [first, second] = [await certificateAuthority(), await certificateAuthority()]

beforeEach(async () => {
  said.length = 0
  dir = await mkdtemp(join(tmpdir(), 'rekey-bundle-'))
  file = join(dir, 'bundle.pem')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

test('a bundle is all the authorities of its file', async () => {
  await writeFile(file, `Authorities of prod.example\n${first.ca}\n${second.ca}`)
  expect(await readSvidBundle(file)).toBe(`${first.ca}${second.ca}`)
})

test.each<[string, string | undefined, RegExp]>([
  ['that is not there', undefined, /ENOENT/],
  ['without a certificate', '{"keys":[]}', /no certificate/],
  ['that is empty', '', /no certificate/],
  ['cut off', `${first.ca}${second.ca.slice(0, 200)}`, /more than certificates/],
  [
    'with a private key',
    `${first.ca}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`,
    /more than/,
  ],
  ['that is garbled', first.ca.replace('MII', 'AAA'), /cannot be read/],
  ['with a certificate that may sign nothing', (await svidFor(first, 'spiffe://a/b')).cert, /no CA/],
])('one %s is refused, by its name', async (_what, text, why) => {
  if (text !== undefined) await writeFile(file, text)
  const error = await readSvidBundle(file).catch((thrown: unknown) => thrown)
  expect(RekeyError.is(error) && error.code).toBe('invalid_configuration')
  expect((error as Error).message).toMatch(why)
  expect((error as Error).message).toContain(file)
})

test('its changes are followed; what cannot be read is said once, and the one before stays', async () => {
  await writeFile(file, first.ca)
  const applied: string[] = []
  const apply = (bundle: string) => void applied.push(bundle)
  const following = followSvidBundle(file, { first: first.ca, apply, log, lookMs: 10 })
  onTestFinished(() => following.stop())

  await writeFile(file, 'broken')
  await until('it is said', () => said.length > 0)
  await writeFile(file, `${first.ca}${second.ca}`)
  await until('it is taken', () => applied.length > 0)
  await rm(file)
  await until('its absence is said', () => said.length > 2)
  await writeFile(file, second.ca)
  await until('it is taken', () => applied.length > 1)

  expect(applied).toEqual([`${first.ca}${second.ca}`, second.ca])
  const [lost, taken] = [
    'the SVID bundle cannot be read again, the one before stays',
    'nodes may enrol with certificates of other authorities',
  ]
  expect(said).toEqual([lost, taken, lost, taken])
})
