import { createSecureContext, type SecureContext } from 'node:tls'
import { type AgentToFleet, FleetToAgent } from '@rekey/contracts'
import WebSocket from 'ws'
import { backoffMs } from './backoff.ts'
import type { Identity } from './identity.ts'
import type { Log } from './log.ts'

type TlsIdentity = Pick<Identity, 'privateKey' | 'certificate' | 'authorities'>

export type LinkOptions = {
  url: string
  node: string
  /** Asked for at each connection, because certificates are renewed. */
  identity: () => TlsIdentity
  hello: Extract<AgentToFleet, { type: 'hello' }>
  log: Log
  onDesired: (
    message: Extract<FleetToAgent, { type: 'desired' }>,
    session: number,
    send: (message: AgentToFleet) => void,
  ) => void
  onRenewed: (message: Extract<FleetToAgent, { type: 'renewed' }>) => void
  onDead: (message: Extract<FleetToAgent, { type: 'dead' }>) => void
  onDown: () => void
  backoff?: { baseMs: number; capMs: number }
}

/** Messages of the fleet are small; a larger one is not from our fleet. */
const PAYLOAD_MAX_BYTES = 256 * 1024
const HANDSHAKE_MS = 10_000

/** One mTLS WebSocket that the agent opens, and opens again for as long as it lives. */
export class FleetLink {
  readonly #options: LinkOptions
  #socket: WebSocket | undefined
  #session: number | undefined
  #failures = 0
  #again: NodeJS.Timeout | undefined
  #silence: NodeJS.Timeout | undefined
  readonly #end = new AbortController()
  #why: string | undefined
  #context: { of: string; made: SecureContext } | undefined

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get session(): number | undefined {
    return this.#session
  }

  start(): void {
    this.#connect()
  }

  /** Sends on the present session; without one the message is dropped, because a new session tells anew. */
  send(message: AgentToFleet): void {
    if (this.#session !== undefined) this.#sendOn(this.#socket, message)
  }

  async stop(): Promise<void> {
    this.#end.abort()
    clearTimeout(this.#again)
    const socket = this.#socket
    if (!socket || socket.readyState === WebSocket.CLOSED) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.close(1000)
    const cut = setTimeout(() => socket.terminate(), 1_000)
    await closed
    clearTimeout(cut)
  }

  /** Made once for each certificate: it takes as long as a handshake, and a fleet that is away is tried again and again. */
  #contextOf(identity: TlsIdentity): SecureContext {
    if (this.#context?.of !== identity.certificate) {
      const { privateKey: key, certificate: cert, authorities: ca } = identity
      this.#context = { of: cert, made: createSecureContext({ key, cert, ca, minVersion: 'TLSv1.3' }) }
    }
    return this.#context.made
  }

  #sendOn(socket: WebSocket | undefined, message: AgentToFleet): void {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }

  #connect(): void {
    const { url, hello, log } = this.#options
    const identity = this.#options.identity()
    const options = {
      secureContext: this.#contextOf(identity),
      perMessageDeflate: false,
      maxPayload: PAYLOAD_MAX_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
    }
    const socket = new WebSocket(url, options)
    this.#socket = socket
    let heartbeatMs = HANDSHAKE_MS

    // The fleet pings; three missed ones mean that it or the way to it is gone, though TCP may not say so.
    const heard = () => {
      clearTimeout(this.#silence)
      this.#silence = setTimeout(() => {
        this.#why = 'silence'
        socket.terminate()
      }, heartbeatMs * 3)
    }

    socket.on('open', () => {
      heard()
      this.#sendOn(socket, hello)
    })
    socket.on('ping', heard)
    socket.on('message', (data, isBinary) => {
      heard()
      const message = isBinary ? undefined : read(data.toString())
      if (!message) {
        log.warn({}, 'the fleet sent something that is no message, closing the session')
        socket.close(1002)
        return
      }
      if (message.type === 'welcome') {
        if (message.node !== this.#options.node) {
          log.error({ told: message.node }, 'the fleet takes this node for another one')
          socket.close(1002)
          return
        }
        heartbeatMs = message.heartbeatMs
        heard()
        this.#session = message.session
        this.#failures = 0
        this.#why = undefined
        log.info({ session: message.session }, 'connected to the fleet')
        return
      }
      const session = this.#session
      if (session === undefined) return
      if (message.type === 'renewed') {
        this.#options.onRenewed(message)
        return
      }
      if (message.type === 'dead') {
        this.#options.onDead(message)
        return
      }
      this.#options.onDesired(message, session, (answer) => this.#sendOn(socket, answer))
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#why ??= error.code ?? error.message
    })
    socket.on('close', (code, reason) => {
      clearTimeout(this.#silence)
      if (reason.length > 0) this.#why ??= reason.toString()
      const wasUp = this.#session !== undefined
      this.#session = undefined
      if (wasUp) this.#options.onDown()
      if (this.#end.signal.aborted) return
      const delayMs = backoffMs(this.#failures, this.#options.backoff ?? { baseMs: 250, capMs: 15_000 })
      // The first failure of a row is worth a line, and then every tenth.
      if (this.#failures % 10 === 0) {
        log.warn({ code, why: this.#why, delayMs }, 'not connected to the fleet, trying again')
      }
      this.#failures += 1
      this.#why = undefined
      this.#again = setTimeout(() => this.#connect(), delayMs)
    })
  }
}

function read(text: string): FleetToAgent | undefined {
  try {
    return FleetToAgent.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
