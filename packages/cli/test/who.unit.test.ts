import { createHash } from 'node:crypto'
import type { Owned } from '@rekey/ledger'
import { afterEach, describe, expect, test } from 'vitest'
import { givenCli } from './given-cli.ts'

const KEY = 'rk_Qm9va3NBcmVOb3RLZXlzQnV0VGhpc0lz'
const DIGEST = createHash('sha256').update(KEY).digest('hex')

function used(address: string, client: string | null, lastUsedAt: string) {
  return { address, client, node: 'n1', requests: 12, firstUsedAt: lastUsedAt, lastUsedAt }
}

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
  clients: {
    declared: ['batch-jobs'],
    seen: [
      used('10.0.0.7', 'batch-jobs', '2026-11-21T03:00:00.000Z'),
      used('203.0.113.9', null, '2026-11-21T02:00:00.000Z'),
    ],
  },
  reaches: [{ name: 'gw-1', url: 'http://10.0.0.1/' }],
  rotation: { id: 'key-g3', phase: 'Rolling', mode: 'rotate' },
  dead: null,
  knocks: null,
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

  test('says by whom a value is used, and marks who is not declared', async () => {
    cli = await answering([alive])
    const { out } = await cli.rekey(['who'], { input: KEY })
    expect(out).toMatch(/used by +UNKNOWN 203\.0\.113\.9, 2026-11-21T02:00:00\.000Z at n1, 12 requests\n/)
    expect(out).toMatch(/ {2}batch-jobs \(10\.0\.0\.7\), 2026-11-21T03:00:00\.000Z at n1/)
    expect(out).not.toContain('none are declared')
  })

  test('marks nobody where no clients are declared, and says so', async () => {
    const seen = alive.clients.seen.map((use) => ({ ...use, client: null }))
    cli = await answering([{ ...alive, clients: { declared: [], seen } }])
    const { out } = await cli.rekey(['who'], { input: KEY })
    expect(out).toMatch(/used by +10\.0\.0\.7, 2026/)
    expect(out).not.toContain('UNKNOWN')
    expect(out).toContain('none are declared, so nobody is known or unknown')
  })

  test('says that by whom is not known where no node tells, and nothing where control is of the release before', async () => {
    cli = await answering([{ ...alive, clients: { declared: [], seen: [] } }])
    expect((await cli.rekey(['who'], { input: KEY })).out).toMatch(/used by +not known: no node says so/)
    await cli.close()
    const { clients, knocks, ...older } = alive
    cli = await answering([older as Owned])
    const { exit, out } = await cli.rekey(['who'], { input: KEY })
    expect(exit).toBe(0)
    expect(out).not.toContain('used by')
  })

  describe('of a dead one', () => {
    const nobody = { requests: 0, firstAt: null, lastAt: null, from: [] }
    const dead = {
      ...alive,
      label: null,
      validity: 'destroyed',
      dead: { since: '2026-11-20T00:00:00.000Z', refusedBy: ['gw-1'], exceptions: [] },
      forecast: [],
    }

    test.each<[string, Owned['knocks'], RegExp[]]>([
      [
        'says who still tries it, and where that is not noticed',
        {
          requests: 41,
          firstAt: '2026-11-21T01:00:00.000Z',
          lastAt: '2026-11-21T05:00:00.000Z',
          from: [
            {
              address: '203.0.113.9',
              client: null,
              nodes: ['n1'],
              requests: 40,
              lastAt: '2026-11-21T05:00:00.000Z',
            },
            {
              address: '10.0.0.7',
              client: 'batch-jobs',
              nodes: ['n1', 'n2'],
              requests: 1,
              lastAt: '2026-11-21T01:00:00.000Z',
            },
          ],
          watchedBy: ['n1', 'n2'],
          notWatchedBy: ['n3'],
        },
        [
          /knocks since +41, the last 2026-11-21T05:00:00\.000Z/,
          /knocked +UNKNOWN 203\.0\.113\.9, 40 requests at n1/,
          /batch-jobs \(10\.0\.0\.7\), 1 request at n1, n2/,
          /not noticed at +n3/,
        ],
      ],
      ['says that nobody did', { ...nobody, watchedBy: ['n1'], notWatchedBy: [] }, [/knocks since +none\n/]],
      [
        'does not say so where nobody could notice',
        { ...nobody, watchedBy: [], notWatchedBy: ['n1'] },
        [/knocks since +not known: no node could notice one/],
      ],
    ])('%s', async (_, knocks, words) => {
      cli = await answering([{ ...dead, knocks }])
      const { out } = await cli.rekey(['who'], { input: KEY })
      for (const each of words) expect(out).toMatch(each)
      expect(out).toMatch(/was used by/)
    })
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
