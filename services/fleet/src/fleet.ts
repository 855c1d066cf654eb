import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { VaultClient } from '@rekey/backend-vault'
import type { Nack, UsageMessage } from '@rekey/contracts'
import type { FleetLedger, VerifiedAck } from '@rekey/ledger'
import type { WebSocket } from 'ws'
import { Batch } from './batch.ts'
import { channelServer, TLS_MIN, type TlsMaterial } from './channel.ts'
import { Counters } from './counters.ts'
import { Delivery } from './delivery.ts'
import { enrolNode, renewNode } from './enrolment.ts'
import { enrolmentContext, enrolmentServer } from './enrolment-server.ts'
import type { Log } from './log.ts'
import { NodeRights } from './node-rights.ts'
import { NodeSession } from './node-session.ts'
import { Pace, READING_MAX } from './pace.ts'
import { ProofKeys } from './proof-keys.ts'
import { Sessions } from './sessions.ts'
import type { SvidTemplate } from './svid-template.ts'

export type FleetOptions = {
  instance: string
  host: string
  port: number
  enrolPort: number
  heartbeatMs: number
  reconcileMs?: number
  /** So many nodes are told at once to read a value: those that were, and have not answered. */
  readingMax?: number
  tls: TlsMaterial
  /** Nodes may enrol with a certificate of SPIRE, too. */
  svid?: { template: SvidTemplate; bundle: string } | undefined
  ledger: FleetLedger
  vault: VaultClient
  log: Log
}

type Sighting = UsageMessage & { node: string }

/** How often to look for nodes that were declared gone. */
const GONE_MS = 5_000

/** One running fleet instance: the channel, the enrolment, and what flows between them and the ledger. */
export class Fleet {
  readonly counters = new Counters()
  readonly sessions = new Sessions()
  readonly delivery: Delivery
  readonly #options: FleetOptions
  readonly #channel: ReturnType<typeof channelServer>
  readonly #enrolment: Server
  readonly #acks: Batch<VerifiedAck>
  readonly #nacks: Batch<Nack & { node: string }>
  readonly #usage: Batch<UsageMessage & { node: string }>
  /** Apart from the counters: nothing waits for these, and they must not be in the way of what is waited for. */
  readonly #clients: Batch<Sighting>
  readonly #knocks: Batch<Sighting>
  readonly #proofKeys: ProofKeys
  readonly #rights: NodeRights
  readonly #pace: Pace
  readonly #timers: NodeJS.Timeout[] = []
  #tls: TlsMaterial
  #svidBundle: string | undefined

  constructor(options: FleetOptions) {
    const { ledger, vault, log, tls, svid } = options
    const { counters, sessions } = this
    this.#options = options
    this.#tls = tls
    this.#svidBundle = svid?.bundle
    this.#rights = new NodeRights({ ledger, vault, log })
    this.#pace = new Pace(options.readingMax ?? READING_MAX)
    this.delivery = new Delivery(ledger, sessions, this.#rights)
    this.#proofKeys = new ProofKeys(ledger)
    // A lost answer is got back by a new session, in which the node proves everything again.
    const onLost = (items: { node: string; session: number }[], error: unknown) => {
      counters.add('lost_writes', items.length)
      log.error(
        { count: items.length, error },
        'answers of nodes could not be written, ending their sessions',
      )
      for (const { node, session } of items) {
        const now = sessions.get(node)
        if (now?.session === session) now.terminate()
      }
    }
    this.#acks = new Batch<VerifiedAck>({
      flushMs: 20,
      // A canary answers alone, and everybody waits for it.
      promptMs: 1,
      itemsMax: 500,
      write: (acks) => ledger.recordAcks(acks),
      keyOf: (ack) => `${ack.node} ${ack.credential}`,
      onLost,
    })
    this.#nacks = new Batch<Nack & { node: string }>({
      flushMs: 20,
      itemsMax: 100,
      write: (nacks) => ledger.recordNacks(nacks),
      keyOf: (nack) => `${nack.node} ${nack.credential}`,
      onLost,
    })
    this.#usage = new Batch<UsageMessage & { node: string }>({
      flushMs: 250,
      itemsMax: 500,
      write: (reports) => ledger.recordUsage(reports),
      keyOf: (report) => `${report.node} ${report.credential}`,
      retryMs: [],
      // The next report says the same and more.
      onLost: (items, error) =>
        log.warn({ count: items.length, error }, 'usage reports could not be written'),
    })
    const sightings = {
      itemsMax: 100,
      keyOf: (report: Sighting) => `${report.node} ${report.credential}`,
      retryMs: [],
      // As above, a little later.
      onLost: (items: Sighting[], error: unknown) =>
        log.warn({ count: items.length, error }, 'who used a key could not be written'),
    }
    this.#clients = new Batch<Sighting>({
      ...sightings,
      flushMs: 1_000,
      write: (reports) => ledger.recordClients(reports),
    })
    this.#knocks = new Batch<Sighting>({
      ...sightings,
      flushMs: 100,
      write: (reports) => ledger.recordKnocks(reports),
    })
    this.#channel = channelServer({
      tls,
      counters,
      log,
      onNode: (node, socket, entered) => this.#welcome(node, socket, entered),
    })
    this.#enrolment = enrolmentServer({
      tls: { key: tls.key, cert: tls.cert, svidBundle: svid?.bundle },
      enrol: (payload, shown) =>
        enrolNode(payload, { ledger, vault, counters, log, template: svid?.template }, shown),
      log,
    })
  }

  async start(): Promise<{ port: number; enrolPort: number }> {
    const { host, port, enrolPort, heartbeatMs, reconcileMs, log } = this.#options
    const { sessions } = this
    await Promise.all([listen(this.#channel.server, port, host), listen(this.#enrolment, enrolPort, host)])
    this.#every(heartbeatMs, () => this.#beat())
    this.#every(reconcileMs ?? 2_000, () => this.delivery.reconcile())
    this.#every(GONE_MS, async () => {
      for (const node of await this.#rights.retireGone())
        sessions.get(node)?.close(4003, 'the node was declared gone')
    })
    const ports = { port: portOf(this.#channel.server), enrolPort: portOf(this.#enrolment) }
    log.info({ instance: this.#options.instance, ...ports }, 'the fleet channel is open')
    return ports
  }

  /** New certificates apply to new connections; the old ones go on. */
  renewTls(tls: TlsMaterial): void {
    this.#tls = tls
    this.#channel.server.setSecureContext({ ...tls, minVersion: TLS_MIN })
    this.#secureEnrolment()
  }

  /** The same for those who may sign what nodes enrol with. */
  trustSvids(bundle: string): void {
    this.#svidBundle = bundle
    this.#secureEnrolment()
  }

  #secureEnrolment(): void {
    this.#enrolment.setSecureContext(enrolmentContext({ ...this.#tls, svidBundle: this.#svidBundle }))
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    const open = this.sessions.all()
    this.#enrolment.close()
    this.#channel.server.close()
    this.#channel.doorway.close()
    const batches = [this.#acks, this.#nacks, this.#usage, this.#clients, this.#knocks]
    await Promise.all(batches.map((batch) => batch.flush()))
    await Promise.all(open.map((s) => this.#options.ledger.closeSession(s.node, s.session).catch(() => {})))
    for (const session of open) session.close(1001, 'the fleet instance ends')
    for (const socket of this.#channel.sockets.clients) socket.close(1001)
    setTimeout(() => {
      for (const socket of this.#channel.sockets.clients) socket.terminate()
    }, 500).unref()
  }

  #welcome(node: string, socket: WebSocket, entered: () => void): void {
    const { ledger, vault, log, instance, heartbeatMs } = this.#options
    const { counters, sessions } = this
    const session = new NodeSession({
      node,
      heartbeatMs,
      wire: {
        send: (text) => socket.send(text),
        close: (code, reason) => socket.close(code, reason),
        terminate: () => socket.terminate(),
        ping: () => socket.ping(),
        get bufferedBytes() {
          return socket.bufferedAmount
        },
      },
      open: async ({ boot, labels, adapters }) => {
        const opened = await ledger.openSession({ node, boot, instance, adapters, ...(labels && { labels }) })
        this.#rights.recall(node, opened.reads)
        await this.#rights.allow(node, opened.desired)
        return opened
      },
      onOpen: (opened) => {
        entered()
        counters.add('sessions_opened')
        if (!sessions.enter(opened)) {
          opened.close(4001, 'a newer session was opened')
          return false
        }
        log.info({ node, session: opened.session }, 'a node is connected')
        return true
      },
      proofKeys: this.#proofKeys,
      pace: this.#pace,
      onAck: (ack) => this.#acks.add(ack),
      onNack: (nack) => {
        if (isDenied(nack)) this.#rights.forget(node)
        this.#nacks.add(nack)
      },
      onUsage: (usage) => {
        const { clients, graveyard, ...counters } = usage
        this.#usage.add(counters)
        if (clients) this.#clients.add(usage)
        if (graveyard) this.#knocks.add(usage)
      },
      renew: (csr) => renewNode(node, csr, { vault, counters, log }),
      counters,
      log,
    })
    socket.on('message', (data, isBinary) => {
      session.receive(isBinary ? undefined : data.toString()).catch((error: unknown) => {
        log.error({ node, error }, 'a message could not be handled')
        socket.terminate()
      })
    })
    socket.on('pong', () => session.heard())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      counters.add('malformed')
      log.warn({ node, code: error.code }, 'the connection of a node broke a rule')
    })
    socket.on('close', () => {
      session.closed()
      sessions.leave(session)
      if (session.session === 0) return
      counters.add('sessions_closed')
      log.info({ node, session: session.session }, 'a node is disconnected')
      ledger.closeSession(node, session.session).catch((error: unknown) => {
        // Its silence will tell the ledger the same, later.
        log.warn({ node, error }, 'the end of a session could not be written')
      })
    })
  }

  async #beat(): Promise<void> {
    const alive = this.sessions.all().filter((session) => session.beat())
    if (alive.length > 0) {
      await this.#options.ledger.heard(alive.map(({ node, session }) => ({ node, session })))
    }
  }

  #every(ms: number, task: () => Promise<void>): void {
    let busy = false
    const timer = setInterval(() => {
      if (busy) return
      busy = true
      task()
        .catch((error: unknown) => this.#options.log.warn({ error }, 'a periodic task failed'))
        .finally(() => {
          busy = false
        })
    }, ms)
    this.#timers.push(timer)
  }
}

/** Vault answered, and the node's own identity may not read there. */
const isDenied = ({ reason, detail }: Nack) =>
  reason === 'store_unreachable' && detail.startsWith('permission_denied')

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve())
  })
}

const portOf = (server: Server) => (server.address() as AddressInfo).port
