import { RekeyError } from '@rekey/contracts'
import type { FleetLedger, JoinedNode, NodeIdentity, NodeOrder, VerifiedAck } from '@rekey/ledger'

type Nacks = Parameters<FleetLedger['recordNacks']>[0]
type Reports = Parameters<FleetLedger['recordUsage']>[0]

/** The fleet's part of the ledger, in memory, with its calls written down. */
export class FakeLedger implements FleetLedger {
  readonly states = new Map<string, NodeOrder[]>()
  readonly keys = new Map<string, Map<number, string>>()
  readonly tokens = new Map<string, JoinedNode>()
  readonly acks: VerifiedAck[] = []
  readonly nacks: Nacks = []
  readonly reports: Reports = []
  readonly closed: string[] = []
  readonly heardOf: string[] = []
  ackWrites = 0
  failing = false
  #session = 0

  async redeemJoinToken(node: string, token: string): Promise<JoinedNode | undefined> {
    const joined = this.tokens.get(token)
    if (!joined || joined.node !== node) return undefined
    this.tokens.delete(token)
    return joined
  }

  /** Node by node, whom a certificate brings in: its workload, or why not. */
  readonly identities = new Map<string, JoinedNode | RekeyError>()
  readonly joinedWith: string[] = []

  async joinByIdentity({ node, workload, svid }: NodeIdentity): Promise<JoinedNode> {
    this.#fail()
    const joined = this.identities.get(node)
    if (!joined) throw new RekeyError('not_found', `there is no workload named ${workload}`)
    if (joined instanceof RekeyError) throw joined
    if (joined.workload !== workload)
      throw new RekeyError('not_allowed_now', `${node} serves another workload`)
    this.joinedWith.push(svid)
    return joined
  }

  async openSession({ node }: { node: string }) {
    this.#fail()
    const desired = this.states.get(node)
    if (!desired) throw new RekeyError('permission_denied', `node ${node} is not enrolled`)
    this.#session += 1
    return { session: this.#session, desired, reads: this.reads.get(node) ?? null }
  }

  readonly reads = new Map<string, string>()

  async readsAllowed(node: string, reads: string): Promise<void> {
    this.reads.set(node, reads)
  }

  readonly gone: string[] = []

  async goneNodes(): Promise<string[]> {
    return [...this.gone]
  }

  async identityEnded(node: string): Promise<void> {
    this.gone.splice(this.gone.indexOf(node), 1)
  }

  async closeSession(node: string, session: number): Promise<void> {
    this.closed.push(`${node} ${session}`)
  }

  /** How many nodes each question for desired states was about. */
  readonly asked: number[] = []

  async desiredStates(nodes: string[]): Promise<Map<string, NodeOrder[]>> {
    this.asked.push(nodes.length)
    this.#fail()
    return new Map(nodes.map((node) => [node, this.states.get(node) ?? []]))
  }

  readonly emergencies: { effect: string; nodes: string[] }[] = []

  async urgent() {
    this.#fail()
    return [...this.emergencies]
  }

  async proofKeys(credential: string): Promise<Map<number, string>> {
    return new Map(this.keys.get(credential))
  }

  async recordAcks(acks: VerifiedAck[]): Promise<void> {
    this.#fail()
    this.ackWrites += 1
    this.acks.push(...acks)
  }

  async recordNacks(nacks: Nacks): Promise<void> {
    this.#fail()
    this.nacks.push(...nacks)
  }

  async recordUsage(reports: Reports): Promise<void> {
    this.#fail()
    this.reports.push(...reports)
  }

  readonly used: Reports = []
  readonly knocked: Reports = []

  async recordClients(reports: Reports): Promise<void> {
    this.used.push(...reports)
  }

  async recordKnocks(reports: Reports): Promise<void> {
    this.knocked.push(...reports)
  }

  async heard(nodes: { node: string; session: number }[]): Promise<void> {
    this.heardOf.push(...nodes.map((n) => n.node))
  }

  #fail(): void {
    if (this.failing) throw new RekeyError('backend_unavailable', 'the ledger is away')
  }
}
