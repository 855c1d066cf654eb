import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startWorld, type World } from './world.ts'

const hook = new URL('crash-after-act.ts', import.meta.url).pathname

let world: World
let crashes: string

beforeAll(async () => {
  crashes = await mkdtemp(join(tmpdir(), 'rekey-crashes-'))
  const env = { NODE_OPTIONS: `--import ${hook}`, REKEY_CRASHES: crashes }
  world = await startWorld({ stack: inject('stack'), rotatorEnv: env })
})
afterAll(async () => {
  await world?.close()
  await rm(crashes, { recursive: true, force: true })
})

/** Both orders of events look the same from outside: the act was done, and nobody wrote it down. */
test('a rotator that dies after each act and before its outcome does each act once in effect', async () => {
  const old = (await world.readers.vault())?.value
  if (!old) throw new Error('no value before the rotation')
  const clients = world.clients()
  const { rotation } = await world.control.rotate(world.credential, 'crash after each act')
  expect(await world.ended(rotation, 120_000)).toBe('closed')
  const { failed, streamsFailed, failures } = await clients.stop()
  expect({ failed, streamsFailed, failures }).toEqual({ failed: 0, streamsFailed: 0, failures: [] })

  const kinds = (await readdir(crashes))
    .filter((key) => key.startsWith(rotation))
    .map((key) => key.split('.').slice(1).join('.'))
  expect(kinds.sort()).toEqual([
    'destroy.aws-g1',
    'destroy.vault-g1',
    'probe.baseline-g1',
    'probe.refusal-g1',
    'promote.aws-g2',
    'promote.vault-g2',
    'stage.aws-g2',
    'stage.vault-g2',
  ])
  const { effects, exceptions } = await world.control.rotation(rotation)
  for (const { key, attempt } of effects.filter((e) => kinds.some((kind) => e.key.endsWith(kind))))
    expect(attempt, key).toBeGreaterThanOrEqual(2)
  expect(exceptions).toEqual([])
  const [vault, aws] = [await world.readers.vault(), await world.readers.aws()]
  expect([vault?.generation, aws?.generation]).toEqual([2, 2])
  if (!vault || !aws) throw new Error('no value after the rotation')
  expect(vault.value.equals(aws.value)).toBe(true)
  // One store version for one generation: no act was done twice in effect.
  expect(vault.storeVersion).toBe('2')
  expect(await world.knock(old)).toEqual([401, 401])
})
