import { allowNodeReads, retireNodeIdentity, type VaultClient } from '@rekey/backend-vault'
import type { DesiredState } from '@rekey/contracts'
import type { FleetLedger } from '@rekey/ledger'
import type { Log } from './log.ts'

const CALL_MS = 10_000

/** What nodes may read in Vault follows what they shall hold, and ends when they are declared gone. */
export class NodeRights {
  readonly #options: {
    ledger: Pick<FleetLedger, 'goneNodes' | 'identityEnded' | 'readsAllowed'>
    vault: VaultClient
    log: Log
  }
  /** The places that each node was last allowed: by this process, or by whichever served it before. */
  readonly #allowed = new Map<string, string>()

  constructor(options: {
    ledger: Pick<FleetLedger, 'goneNodes' | 'identityEnded' | 'readsAllowed'>
    vault: VaultClient
    log: Log
  }) {
    this.#options = options
  }

  /** A session begins: what the ledger has on record, whoever wrote it. Null: it is written anew. */
  recall(node: string, reads: string | null): void {
    if (reads === null) this.#allowed.delete(node)
    else this.#allowed.set(node, reads)
  }

  /** It was refused what it should read, as where Vault lost the node's policy: that is written at the next push. */
  forget(node: string): void {
    this.#allowed.delete(node)
  }

  /** Before a state is sent: a credential may be younger than the node's enrolment. */
  async allow(node: string, desired: DesiredState[]): Promise<void> {
    const { ledger, vault, log } = this.#options
    const reads = desired.map(({ store: { mount, path, namespace } }) => ({ mount, path, namespace }))
    const places = reads
      .map(({ mount, path, namespace = '' }) => `${namespace}:${mount}/${path}`)
      .sort()
      .join(' ')
    if (places === '' || this.#allowed.get(node) === places) return
    try {
      await allowNodeReads(vault, { node, reads }, { signal: AbortSignal.timeout(CALL_MS) })
      this.#allowed.set(node, places)
      await ledger.readsAllowed(node, places)
    } catch (error) {
      // The node says so itself if it cannot read; the next push tries again.
      log.warn({ node, error }, 'the rights of a node could not be written')
    }
  }

  /** Takes the identity of every node that was declared gone; returns their names. */
  async retireGone(): Promise<string[]> {
    const { ledger, vault, log } = this.#options
    const gone = await ledger.goneNodes()
    for (const node of gone) {
      await retireNodeIdentity(vault, { node }, { signal: AbortSignal.timeout(CALL_MS) })
      await ledger.identityEnded(node)
      this.#allowed.delete(node)
      log.info({ node }, 'the identity of a node that is gone was ended')
    }
    return gone
  }
}
