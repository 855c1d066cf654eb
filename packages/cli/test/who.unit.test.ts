import { createHash } from 'node:crypto'
import type { Owned } from '@rekey/ledger'
import { afterEach, describe, expect, test } from 'vitest'
import { givenCli } from './given-cli.ts'

const KEY = 'rk_Qm9va3NBcmVOb3RLZXlzQnV0VGhpc0lz'
const DIGEST = createHash('sha256').update(KEY).digest('hex')

const alive: Owned = {
  by: 'fingerprint',
  credential: 'key',
  generation: 2,
  keyId: 'key.g2',
  workload: 'chat',
  purpose: 'api',
  environment: 'prod',
  owner: 'team-inference',
  label: 'current',
  validity: 'active',
  ending: null,
  compromised: false,
  stores: ['vault', 'aws'],
  nodes: [
    { node: 'n1', state: 'live', accepts: true, inFlight: 2, lastUsedAt: '2026-11-21T03:00:00.000Z' },
    { node: 'n2', state: 'lost', accepts: null, inFlight: 0, lastUsedAt: null },
  ],
  lastUse: { at: '2026-11-21T03:00:00.000Z', node: 'n1' },
  reaches: [{ name: 'gw-1', url: 'http://10.0.0.1/' }],
  rotation: { id: 'key-g3', phase: 'Rolling', mode: 'rotate' },
  dead: null,
  forecast: [
    { order: 'rotate', deadAfterMs: null, measured: 0, of: 'all credentials', outageMs: null },
    {
      order: 'contain',
      deadAfterMs: { middle: 900, longest: 1_200 },
      measured: 3,
      of: 'this credential',
      outageMs: { middle: 2_000, longest: 2_500 },
    },
  ],
}

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const answering = (found: Owned[], unfingerprinted: string[] = []) =>
  givenCli({
    'POST /v1/who': ({ body }: { body: unknown }) => {
      const { digests } = body as { digests: string[] }
      return { found: digests.map((digest) => (digest === DIGEST ? found : [])), unfingerprinted }
    },
  })

describe('rekey who', () => {
  test('sends digests, and shows whose it is, where it lives and what to do', async () => {
    cli = await answering([alive])
    const { exit, out, err } = await cli.rekey(['who'], { input: `export KEY="${KEY}"\n` })
    expect(exit).toBe(0)
    expect(out).toContain('key generation 2: in use')
    expect(out).toMatch(/belongs to +chat in prod, owner team-inference/)
    expect(out).toMatch(/in stores +vault, aws/)
    expect(out).toMatch(/accepted by +n1\n/)
    expect(out).toMatch(/not known of +n2/)
    expect(out).toMatch(/rotation +key-g3: Rolling \(rotate\)/)
    expect(out).toContain('not done lately')
    expect(out).toContain('rekey contain key --generation 2')
    expect(out).toContain(
      'proved dead after 0.9 s, 1.2 s at the most; the stores had the next one after 2.0 s',
    )
    expect(JSON.stringify([out, err, cli.seen])).not.toContain(KEY)
  })

  test('of a dead one says since when, and offers nothing', async () => {
    const dead = { since: '2026-11-20T00:00:00.000Z', refusedBy: ['gw-1'], exceptions: ['no_control'] }
    cli = await answering([{ ...alive, label: null, validity: 'destroyed', dead, forecast: [] }])
    const { exit, out } = await cli.rekey(['who'], { input: KEY })
    expect(exit).toBe(0)
    // Not rounded up: somebody may accept it still.
    expect(out).toContain('dead, as far as it was shown')
    expect(out).toMatch(/not known of +n2/)
    expect(out).toMatch(/dead since +2026-11-20/)
    expect(out).toMatch(/refused by +gw-1/)
    expect(out).toMatch(/not shown +no control/)
    expect(out).not.toContain('what can be done')
  })

  test('of a stranger says what it cannot know, with an exit code of its own', async () => {
    cli = await answering([], ['old-key'])
    const { exit, out } = await cli.rekey(['who'], { input: 'sk-somebody-elses-key' })
    expect(exit).toBe(10)
    expect(out).toContain('not ours')
    expect(out).toContain('old-key')
  })

  test('one key in several readings is told once; several keys each', async () => {
    cli = await answering([alive, { ...alive, by: 'key-id' }])
    const { out } = await cli.rekey(['who', '--json'], { input: `"${KEY}" ${KEY}` })
    expect(JSON.parse(out).found).toHaveLength(1)
  })

  test.each([
    ['nothing', '', 'nothing was pasted'],
    ['ten megabytes', 'x'.repeat(10 * 1024 * 1024), 'more than a key'],
    ['bytes', Uint8Array.of(0xff, 0xfe), 'not text'],
  ])('asks nobody about %s', async (_, input, problem) => {
    cli = await answering([])
    const { exit, err } = await cli.rekey(['who'], { input })
    expect(exit).toBe(1)
    expect(err).toContain(problem)
    expect(cli.seen).toEqual([])
  })

  test.each([
    ['being revoked', { ending: 'revoking' }, 'revoked, and not proved dead yet'],
    ['drained', { label: 'previous', ending: 'draining' }, 'still accepted'],
    ['given up', { label: 'pending', ending: 'waiting' }, 'being taken out of use'],
    ['suspended', { validity: 'suspended' }, 'suspended, which can be undone'],
    ['destroyed by a recovery', { label: null, validity: 'destroyed' }, 'never proved dead'],
    ['on its way in', { label: 'pending', validity: 'staged' }, 'on its way in'],
  ] as const)('says what is so, not what the label is: %s', async (_, over, words) => {
    cli = await answering([{ ...alive, ...over }])
    expect((await cli.rekey(['who'], { input: KEY })).out).toContain(words)
  })

  test('an id beside a key that is not ours says nothing of the key', async () => {
    cli = await answering([{ ...alive, by: 'key-id' }])
    const { out } = await cli.rekey(['who'], { input: KEY })
    expect(out).toContain('its public id')
    expect(out).toContain('no value in it is ours')
  })

  test('asks of a long text in parts, and of all of it', async () => {
    cli = await answering([alive])
    const lines = Array.from({ length: 3_000 }, (_, i) => `request-number-${i}`).join('\n')
    const { exit } = await cli.rekey(['who'], { input: `${lines}\n${KEY}` })
    expect(exit).toBe(0)
    expect(cli.seen.length).toBeGreaterThan(2)
  })

  test.each([[KEY], [`--key=${KEY}`], [`-${KEY}`], [`--json=${KEY}`]])(
    'takes no key on the command line, and does not repeat it',
    async (argument) => {
      cli = await answering([alive])
      const { exit, out, err } = await cli.rekey(['who', argument])
      expect(exit).toBe(1)
      expect(out + err).not.toContain(KEY)
      expect(cli.seen).toEqual([])
    },
  )
})
