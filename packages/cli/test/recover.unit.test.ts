import type { RecoveredCredential, RecoveryView } from '@rekey/ledger'
import { afterEach, describe, expect, test } from 'vitest'
import { givenCli, problem } from './given-cli.ts'

let cli: Awaited<ReturnType<typeof givenCli>>
afterEach(() => cli.close())

const key: RecoveredCredential = {
  credential: 'key',
  ledger: 5,
  verdict: 'differs',
  stores: [
    { store: 'vault', current: 8 },
    { store: 'aws', current: 7 },
  ],
  generations: [
    { generation: 7, tried: 'accepted', stores: ['vault', 'aws'] },
    { generation: 8, tried: 'accepted', stores: ['vault', 'aws'] },
  ],
  closed: 'key-g6',
  waiting: 2,
  error: null,
  releasedBy: null,
  rotation: null,
}
const free: RecoveredCredential = { ...key, credential: 'free', releasedBy: 'operator/ana' }
const recovery = (credentials: RecoveredCredential[]): RecoveryView => ({
  id: 'mi9x1q2z',
  askedBy: 'operator/ana',
  reason: 'disk lost',
  askedAt: '2026-11-21T10:00:00.000Z',
  auditHead: 417,
  held: credentials.filter((c) => c.releasedBy === null).length,
  credentials,
})

describe('recover', () => {
  test('starts with a reason, and says what is held', async () => {
    cli = await givenCli({ 'POST /v1/recovery': recovery([key]) })
    const { exit, out } = await cli.rekey(['recover', '--reason', 'disk lost'])
    expect(exit).toBe(30)
    expect(out).toContain('recovery mi9x1q2z by operator/ana: disk lost')
    expect(cli.seen[0]?.body).toEqual({ reason: 'disk lost' })
  })

  test('shows each credential: the ledger, the stores, what they hold besides, and the verdict', async () => {
    cli = await givenCli({ 'GET /v1/recovery': recovery([key]) })
    const { exit, out } = await cli.rekey(['recover', '--status'])
    expect(exit).toBe(30)
    const [head, row] = out.split('\n').slice(-2)
    expect(head).toMatch(/^CREDENTIAL +LEDGER +STORES +ALSO HELD +VERDICT +STATE$/)
    expect(row).toMatch(
      /^key +5 +vault=8 aws=7 +7 \(accepted\), 8 \(accepted\) +differs +held; key-g6 ended; 2 causes wait$/,
    )
  })

  test('exits with 0 when nothing is held, and prints JSON', async () => {
    cli = await givenCli({ 'GET /v1/recovery': recovery([free]) })
    const { exit, out } = await cli.rekey(['recover', '--status', '--json'])
    expect([exit, JSON.parse(out)]).toEqual([0, recovery([free])])
  })

  test('releases one, with the generation that the human chose', async () => {
    cli = await givenCli({
      'POST /v1/recovery/key/release': { credential: 'key', generation: 8, rotation: 'key-g8-mi9x1q2z' },
      'GET /v1/recovery': recovery([free]),
    })
    const { exit, out } = await cli.rekey(['recover', '--release', 'key', '--generation', 'g8'])
    expect([exit, out]).toEqual([
      0,
      'key is released with generation 8; key-g8-mi9x1q2z goes on\nnothing is held any more',
    ])
    expect(cli.seen[0]?.body).toEqual({ generation: 8 })
  })

  test('releases all that can be, and says what cannot', async () => {
    cli = await givenCli({
      'POST /v1/recovery/key/release': (_seen: unknown, response: Parameters<typeof problem>[0]) =>
        problem(response, 409, 'not_allowed_now', 'cannot release key: the stores do not show the same'),
      'POST /v1/recovery/other/release': { credential: 'other', generation: 3, rotation: null },
      'GET /v1/recovery': recovery([key, { ...key, credential: 'other' }, free]),
    })
    const { exit, out } = await cli.rekey(['recover', '--release-all'])
    expect(exit).toBe(30)
    expect(out).toContain('other is released with generation 3\n')
    expect(out).toContain('cannot release key: the stores do not show the same')
    expect(cli.seen.filter((s) => s.method === 'POST')).toHaveLength(2)
  })

  test.each([
    [[]],
    [['--status', '--release-all']],
    [['--status', '--generation', '3']],
    [['--reason', ' ']],
  ])('with %j is refused before anything is asked', async (argv) => {
    cli = await givenCli()
    expect((await cli.rekey(['recover', ...argv])).exit).toBe(1)
    expect(cli.seen).toEqual([])
  })

  test('a change that is kept until the release ends a wait as held', async () => {
    cli = await givenCli({ 'POST /v1/credentials/key/rotate': { rotation: 'key-g1006', how: 'queued' } })
    const { exit, out } = await cli.rekey(['rotate', 'key', '--reason', 'r', '--wait'])
    expect(exit).toBe(30)
    expect(out).toContain('key-g1006 follows when key is released')
  })
})
