import type { DesiredState } from '@rekey/contracts'
import type { Nack } from './keeper.ts'
import type { SimLedger } from './ledger.ts'
import type { ServingNode } from './node.ts'
import type { Process } from './process.ts'
import type { Job, JobQueue } from './queue.ts'

const RECONCILE_MS = 2_000
const BATCH_MS = 15
const GRACE_MS = 500

type Sent = { revision: number; accept: number[]; nonce: number; isAnswered: boolean }

export type Ack = { credential: string; revision: number; session: number; nonce: number; proved: number[] }

/** One connection of one node, as the fleet sees it. */
export type Session = { node: ServingNode; number: number; sent: Map<string, Sent>; isBroken: boolean }

export type LedgerAcks = Parameters<SimLedger['fleet']['recordAcks']>[0]

/** One instance of the fleet service: sessions, orders out, proofs in. */
export class Fleet {
  readonly process: Process
  readonly #ledger: SimLedger
  #sessions = new Map<string, Session>()
  #acks: LedgerAcks = []
  #nonce = 0
  /** Told of acks before they are handed to the ledger; what it returns is called after that. */
  onAcks: (acks: LedgerAcks) => () => void = () => () => undefined

  constructor(process: Process, ledger: SimLedger, queue: JobQueue) {
    this.process = process
    this.#ledger = ledger
    queue.consume(`fleet-${process.name}`, (job) => this.#wake(job))
    process.onRestart = () => this.#begin()
    this.#begin()
  }

  #begin(): void {
    this.#sessions = new Map()
    this.#acks = []
    this.process.after(RECONCILE_MS, () => this.#reconcile())
  }

  #wake(job: Job): void {
    this.process.after(0, () => this.#push(job.nodes ?? [...this.#sessions.keys()]))
  }

  /** A node says hello. Undefined: it may not come in. */
  async connect(node: ServingNode, boot: string): Promise<Session | undefined> {
    const { life } = this.process
    const opened = await this.#ledger.fleet
      .openSession({ node: node.name, boot, instance: this.process.name, labels: node.labels })
      .catch(() => undefined)
    if (!opened || this.process.life !== life) return undefined
    const session: Session = { node, number: opened.session, sent: new Map(), isBroken: false }
    const other = this.#sessions.get(node.name)
    if (other && other.number > session.number) return undefined
    if (other) this.#leave(other)
    this.#sessions.set(node.name, session)
    this.process.ground.note('connected', node.name, this.process.name, session.number)
    this.#send(session, opened.desired)
    return session
  }

  /** The connection is gone; the ledger is told once this side has noticed. */
  broken(session: Session): void {
    if (session.isBroken) return
    session.isBroken = true
    this.process.after(this.process.ground.random.between(0, 2_500), async () => {
      if (this.#sessions.get(session.node.name) !== session) return
      this.#leave(session)
      await this.#ledger.fleet.closeSession(session.node.name, session.number)
    })
  }

  #leave(session: Session): void {
    session.isBroken = true
    if (this.#sessions.get(session.node.name) === session) this.#sessions.delete(session.node.name)
  }

  /** All its connections end with it; its nodes notice sooner or later. */
  kill(ms: number): void {
    const sessions = [...this.#sessions.values()]
    this.process.kill(ms)
    this.process.ground.strike('crash-fleet')
    for (const session of sessions) {
      session.isBroken = true
      this.process.ground.after(this.process.ground.random.between(5, 1_500), () =>
        session.node.disconnected(session),
      )
    }
  }

  #send(session: Session, states: DesiredState[]): void {
    for (const state of states) {
      const { credential, revision } = state
      if (revision <= (session.sent.get(credential)?.revision ?? -1)) continue
      const nonce = ++this.#nonce
      const accept = state.accept.map((a) => a.generation)
      session.sent.set(credential, { revision, accept, nonce, isAnswered: false })
      session.node.link.send(
        () => session.node.ordered(session, state, nonce),
        () => session.node.disconnected(session),
      )
    }
  }

  async #push(nodes: string[]): Promise<void> {
    const connected = nodes.filter((node) => this.#sessions.has(node))
    if (connected.length === 0) return
    for (const [node, states] of await this.#ledger.fleet.desiredStates(connected)) {
      const session = this.#sessions.get(node)
      if (session) this.#send(session, states)
    }
  }

  /** Whoever was told less than the ledger knows is told now; deliveries that nobody was woken for are done. */
  async #reconcile(): Promise<void> {
    this.process.after(RECONCILE_MS, () => this.#reconcile())
    const alive = [...this.#sessions.values()].filter((s) => !s.isBroken && s.node.link.isOpen)
    const heard = alive.map((session) => ({ node: session.node.name, session: session.number }))
    if (heard.length > 0) await this.#ledger.fleet.heard(heard)
    const { keys } = await this.#ledger.unattended({ worker: 'fleet', graceMs: GRACE_MS, limit: 4 })
    for (const key of keys) {
      const leased = await this.#ledger.lease(key, this.process.name, 5_000)
      if (leased) await this.#ledger.complete(leased, { kind: 'deliver' }, this.process.name)
    }
    await this.#push([...this.#sessions.keys()])
  }

  /** An ack counts for the order that was sent last, once, and only if it is whole. */
  acked(session: Session, ack: Ack): void {
    this.process.after(0, () => {
      const sent = session.sent.get(ack.credential)
      const isWhole =
        sent?.accept.length === ack.proved.length && sent.accept.every((g) => ack.proved.includes(g))
      if (!sent || ack.session !== session.number || ack.nonce !== sent.nonce || !isWhole) return
      if (ack.revision !== sent.revision || sent.isAnswered) return
      sent.isAnswered = true
      const { credential, revision, proved } = ack
      this.#acks.push({
        node: session.node.name,
        session: session.number,
        credential,
        revision,
        proved,
        refusals: [],
      })
      if (this.#acks.length === 1) this.process.after(BATCH_MS, () => this.#flush())
    })
  }

  async #flush(): Promise<void> {
    const acks = this.#acks
    this.#acks = []
    const after = this.onAcks(acks)
    await this.#ledger.fleet.recordAcks(acks)
    after()
  }

  nacked(session: Session, about: { credential: string; revision: number } & Nack): void {
    this.process.after(1, async () => {
      const sent = session.sent.get(about.credential)
      if (sent?.revision !== about.revision) return
      const { node, number } = session
      await this.#ledger.fleet.recordNacks([
        { type: 'nack', node: node.name, session: number, detail: '', ...about },
      ])
    })
  }

  used(reports: Parameters<SimLedger['fleet']['recordUsage']>[0]): void {
    this.process.after(1, () => this.#ledger.fleet.recordUsage(reports))
  }
}
