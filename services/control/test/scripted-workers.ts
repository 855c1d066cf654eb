import { RekeyError } from '@rekey/contracts'
import type { EffectResult } from '@rekey/core'
import type { Leased, Ledger } from '@rekey/ledger'

const NODE = 'scripted-node'

/**
 * Stands for conductor, rotator, auditor, and one node of workload `chat` with its fleet. `breaks` names a kind of
 * effect that fails for good.
 */
export function scriptedWorkers(ledger: Ledger, options: { breaks?: EffectResult['kind'] } = {}) {
  const ending = new AbortController()
  const acknowledged = new Set<string>()
  const running = (async () => {
    const { token } = await ledger.createJoinToken({
      node: NODE,
      workload: 'chat',
      ttlMs: 60_000,
      actor: 'test',
    })
    await ledger.fleet.redeemJoinToken(NODE, token)
    const { session } = await ledger.fleet.openSession({ node: NODE, boot: 'b', instance: 'i' })
    while (!ending.signal.aborted) {
      await turn(session)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()

  async function turn(session: number): Promise<void> {
    const desired = (await ledger.fleet.desiredStates([NODE])).get(NODE) ?? []
    const about = desired.map(({ credential, revision, accept }) => {
      return {
        node: NODE,
        session,
        credential,
        revision,
        proved: accept.map((a) => a.generation),
        refusals: [],
      }
    })
    await ledger.fleet.recordAcks(about)
    await ledger.fleet.recordUsage(
      desired.map(({ credential }) => ({ type: 'usage', node: NODE, session, credential, generations: [] })),
    )
    await ledger.fireTimers('conductor')
    for (const { key } of await ledger.takeWaiting(0)) {
      const leased = await ledger.lease(key, 'worker', 5_000)
      if (!leased) continue
      if (leased.effect.kind === options.breaks)
        await ledger.fail(leased, new RekeyError('permission_denied', 'as scripted'), 'worker')
      else await ledger.complete(leased, resultOf(leased), 'worker')
    }
    for (const { id } of await ledger.listRotations({}))
      for (const { type, data } of await ledger.journal({ stream: `rotation/${id}` })) {
        const intent = `${id} ${data.generation}`
        if (type !== 'RevocationAnnounced' || acknowledged.has(intent)) continue
        acknowledged.add(intent)
        await ledger.submit(id, { type: 'AuditAcknowledged', generation: Number(data.generation) }, 'auditor')
      }
  }

  return {
    async stop() {
      ending.abort()
      await running
    },
  }
}

function resultOf({ effect }: Leased): EffectResult {
  switch (effect.kind) {
    case 'stage':
      return { kind: 'stage', storeVersion: 'staging', keyId: `key.g${effect.generation}`, proofKey: 'pub' }
    case 'promote':
    case 'restore':
      return { kind: effect.kind, storeVersion: `v${effect.generation}` }
    case 'probe': {
      const verdict = effect.purpose === 'baseline' ? 'accepted' : 'refused'
      const seen = effect.purpose === 'baseline' ? '200' : '401'
      return { kind: 'probe', results: [{ endpoint: 'gw', verdict, seen, control: 'accepted' }] }
    }
    case 'withdraw':
      return { kind: 'withdraw', storeVersion: `withdrawn-g${effect.generation}` }
    case 'install':
    case 'suspend':
    case 'reinstate':
    case 'revoke':
    case 'destroy':
      return { kind: effect.kind }
    case 'deliver':
    case 'timer':
      return { kind: 'deliver' }
    default:
      return effect satisfies never
  }
}
