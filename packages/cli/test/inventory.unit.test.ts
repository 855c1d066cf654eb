import { afterEach, expect, test } from 'vitest'
import { givenCli } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const WHOLE = {
  places: [{ place: 'vault:secret', listed: 2, error: null as string | null }],
  governed: 2,
  ungoverned: [] as object[],
  missing: [] as object[],
}
const STRAY = { place: 'vault:secret', name: 'prod/legacy', changedAt: null, owner: 'unknown' }
const LOST = {
  place: 'aws:eu-central-1',
  name: 'prod/key',
  credential: 'key',
  owner: 'team-ai',
  store: 'aws',
}

/** A rotator that answers after `after` looks. */
function scanOf(found: typeof WHOLE, after = 1) {
  let looks = 0
  const scan = { id: 7, askedBy: 'operator/ana', askedAt: '2026-11-22T09:00:00.000Z' }
  return {
    'POST /v1/inventory/scans': { ...scan, finishedAt: null, found: null },
    'GET /v1/inventory/scans/7': () =>
      ++looks < after
        ? { ...scan, finishedAt: null, found: null }
        : { ...scan, finishedAt: '2026-11-22T09:00:01.000Z', found },
  }
}

test.each([
  ['everything is governed', WHOLE, 0, 'governed 2, not governed 0, missing 0'],
  ['something is not', { ...WHOLE, ungoverned: [STRAY] }, 2, 'prod/legacy   vault:secret  -        unknown'],
  [
    'something is missing',
    { ...WHOLE, missing: [LOST] },
    2,
    'prod/key  aws:eu-central-1  key         team-ai',
  ],
  [
    'a place could not be listed',
    {
      ...WHOLE,
      ungoverned: [STRAY],
      places: [{ place: 'vault:secret', listed: 0, error: 'permission_denied: no' }],
    },
    1,
    'vault:secret: permission_denied: no',
  ],
])('a scan exits by what it found: %s', async (_, found, exit, words) => {
  cli = await givenCli(scanOf(found, 2))
  const answer = await cli.rekey(['inventory', 'scan'])
  expect(answer).toMatchObject({ exit, out: expect.stringContaining(words) })
  expect(cli.seen[0]?.body).toEqual({})
})

test('a scan as JSON is what control says', async () => {
  cli = await givenCli(scanOf({ ...WHOLE, ungoverned: [STRAY] }))
  const { exit, out } = await cli.rekey(['inventory', 'scan', '--json'])
  expect(exit).toBe(2)
  expect(JSON.parse(out)).toMatchObject({ id: 7, found: { ungoverned: [STRAY] } })
})

test('a scan that no rotator answers ends, and says what to do', async () => {
  cli = await givenCli(scanOf(WHOLE, 1_000))
  const { exit, err } = await cli.rekey(['inventory', 'scan', '--timeout', '1s'])
  expect(exit).toBe(1)
  expect(err).toContain('no rotator has answered scan 7')
})
