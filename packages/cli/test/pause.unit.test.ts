import { afterEach, expect, test } from 'vitest'
import { givenCli } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const REASON = ['--reason', 'launch day']
const UNTIL = '2026-11-22T08:00:00.000Z'

test.each<[string[], string, object, string]>([
  [['key', '--for', '4h'], 'credentials/key/pause', { forMs: 14_400_000 }, `of key goes on until ${UNTIL}`],
  [['--all', '--for', '30m'], 'pause', { forMs: 1_800_000 }, `of key goes on until ${UNTIL}`],
  [['key', '--end'], 'credentials/key/pause/end', {}, 'routine rotations of key go on'],
  [['--all', '--end'], 'pause/end', {}, 'routine rotations of key go on'],
])('pause %j', async (argv, path, body, words) => {
  cli = await givenCli({ [`POST /v1/${path}`]: { credentials: ['key'], until: UNTIL } })
  expect(await cli.rekey(['pause', ...argv, ...REASON])).toMatchObject({
    exit: 0,
    out: expect.stringContaining(words),
  })
  expect(cli.seen[0]?.body).toEqual({ reason: 'launch day', ...body })
})

test.each([
  [['--for', '4h'], 'pause what?'],
  [['key', '--all', '--for', '4h'], 'pause what?'],
  [['key'], 'for how long?'],
  [['key', '--for', '4h', '--end'], 'for how long?'],
  [['key', '--for', 'ever'], 'ever'],
])('pause %j is refused before anything is asked', async (argv, words) => {
  cli = await givenCli()
  expect(await cli.rekey(['pause', ...argv, ...REASON])).toMatchObject({
    exit: 1,
    err: expect.stringContaining(words),
  })
  expect(cli.seen).toEqual([])
})
