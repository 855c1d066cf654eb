import { type Call, RekeyError } from '@rekey/contracts'
import type { Leased } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'
import { expect, test } from 'vitest'
import type { Hands } from './act.ts'
import type { Leases, Taken } from './leases.ts'
import { work } from './work.ts'

const newer = new RekeyError('newer_release', 'rotation r is worked on by a newer release of Rekey')

/** An effect whose act is one call to a store. */
function setUp(does: {
  take?: () => Promise<never>
  act?: () => Promise<void>
  complete?: () => Promise<never>
}) {
  const did: string[] = []
  const taken = {
    leased: {
      effect: { kind: 'destroy', store: 'vault', generation: 1, key: 'r.destroy.vault-g1' },
      attempt: 1,
      rotation: { id: 'r' },
    } as unknown as Leased,
    signal: AbortSignal.timeout(60_000),
    isLost: false,
    release: () => void did.push('released'),
  }
  const calls: Call[] = []
  const destroy = async (_generation: number, call: Call) => {
    calls.push(call)
    await does.act?.()
    did.push('acted')
  }
  const tell = (about: { error?: { code?: string } }, text: string) =>
    void did.push(`${text}${about.error?.code ? ` (${about.error.code})` : ''}`)
  const record = async (what: string) => {
    did.push(what)
    return 'recorded' as const
  }
  const options = {
    ledger: {
      complete: does.complete ?? (() => record('completed')),
      fail: (_leased: Leased, error: RekeyError) => record(`failed: ${error.code}`),
    },
    leases: { take: does.take ?? (async (): Promise<Taken> => taken) } as unknown as Leases,
    logger: { debug: () => {}, info: tell, warn: tell } as unknown as Logger,
    worker: 'w',
    hands: () =>
      ({
        stores: [{ name: 'vault', store: { destroy } }],
        authority: { valueFrom: 'us' },
      }) as unknown as Hands,
    said: new Set<string>(),
  }
  return { did, taken, calls, run: () => work('r.destroy.vault-g1', options) }
}

test('an effect that is done is recorded, and its lease let go of', async () => {
  const { did, run } = setUp({})
  await run()
  expect(did).toEqual(['acted', 'completed', 'effect done', 'released'])
})

test('an effect of an emergency says so in its calls', async () => {
  const { taken, calls, run } = setUp({})
  await run()
  taken.leased.urgent = true
  await run()
  expect(calls.map((call) => call.urgent)).toEqual([undefined, true])
})

test('an act that fails is a failure of its effect', async () => {
  const { did, run } = setUp({ act: () => Promise.reject(new RekeyError('sealed', 'Vault is sealed')) })
  await run()
  expect(did).toEqual(['effect failed (sealed)', 'failed: sealed', 'released'])
})

test('an act that was stopped because its lease was lost is none: another worker has the effect', async () => {
  const { did, taken, run } = setUp({
    act: () => {
      taken.isLost = true
      return Promise.reject(new RekeyError('backend_timeout', 'cut off'))
    },
  })
  await run()
  expect(did).toEqual([
    'the lease was lost, the effect is left to its next attempt (backend_timeout)',
    'released',
  ])
})

test('what a newer release works on is left to it, which is said once and is no failure', async () => {
  const { did, run } = setUp({ take: () => Promise.reject(newer) })
  await run()
  await run()
  expect(did).toEqual(['left to a newer release (newer_release)'])
})

test('what a newer release took over during the act is left to it too', async () => {
  const { did, run } = setUp({ complete: () => Promise.reject(newer) })
  await run()
  expect(did).toEqual(['acted', 'released', 'left to a newer release (newer_release)'])
})
