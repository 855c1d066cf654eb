import type { Server, Socket } from 'node:net'

export type DoorwayOptions = {
  /** Connections that are being opened at once. */
  atOnce?: number
  /** Connections that wait for their turn; more are closed. */
  waitingMax?: number
  /** Who waited for longer is taken to have given up. */
  patienceMs?: number
  /** A stranger who takes longer keeps nobody else waiting, and may go on. */
  slowMs?: number
  /** And a node that has shown its certificate, for so long. */
  knownMs?: number
  /** One was closed before it came in. */
  onTurnedAway?: () => void
}

/**
 * Opening a connection costs milliseconds of processor time on both sides. Of a whole fleet that comes at once, each would get a
 * share of it that is too small to be done before it gives up, and all of it would be for nothing. So they come in one after the
 * other, in the order in which they knocked, and who has given up by then is passed over.
 */
export class Doorway {
  readonly #atOnce: number
  readonly #waitingMax: number
  readonly #patienceMs: number
  readonly #slowMs: number
  readonly #knownMs: number
  /** Being opened, by address and port. */
  readonly #opening = new Map<string, { timer: NodeJS.Timeout; who?: string }>()
  /** Which of these is whose, as far as that is known. */
  readonly #belongs = new Map<string, string>()
  readonly #waiting = new Set<{ socket: Socket; since: number }>()
  readonly #turnAway: (socket: Socket) => void
  readonly #enter: (socket: Socket) => void

  /** Stands before what `server` does with a connection. */
  constructor(server: Server, options: DoorwayOptions = {}) {
    const { atOnce = 128, waitingMax = 4_000, patienceMs = 8_000, slowMs = 1_000, knownMs = 5_000 } = options
    this.#atOnce = atOnce
    this.#waitingMax = waitingMax
    this.#patienceMs = patienceMs
    this.#slowMs = slowMs
    this.#knownMs = knownMs
    this.#turnAway = (socket) => {
      options.onTurnedAway?.()
      socket.destroy()
    }
    const inside = server.listeners('connection')
    server.removeAllListeners('connection')
    this.#enter = (socket) => {
      for (const listener of inside) listener.call(server, socket)
    }
    server.on('connection', (socket) => this.#knock(socket))
  }

  /**
   * It is known who is there, so it may take longer: others would only come in on top. Of each there is one that is waited for, so
   * that nobody who comes a hundred times and then says nothing keeps the others out.
   */
  known(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>, who: string): void {
    const key = keyOf(socket)
    if (!this.#opening.has(key)) return
    const before = this.#belongs.get(who)
    this.#hold(key, this.#knownMs, who)
    this.#belongs.set(who, key)
    if (before !== undefined && before !== key) this.#free(before)
  }

  /** A connection is open, or is known to come to nothing: the next one may come in. */
  opened(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void {
    this.#free(keyOf(socket))
  }

  close(): void {
    for (const { socket } of this.#waiting) socket.destroy()
    this.#waiting.clear()
  }

  #knock(socket: Socket): void {
    const waits = { socket, since: performance.now() }
    socket.on('error', () => {})
    const key = keyOf(socket)
    socket.once('close', () => {
      this.#waiting.delete(waits)
      this.#free(key)
    })
    if (this.#waiting.size >= this.#waitingMax) this.#turnAway(socket)
    else {
      this.#waiting.add(waits)
      this.#next()
    }
  }

  #next(): void {
    for (const waits of this.#waiting) {
      if (this.#opening.size >= this.#atOnce) return
      this.#waiting.delete(waits)
      const { socket, since } = waits
      if (performance.now() - since > this.#patienceMs) {
        this.#turnAway(socket)
        continue
      }
      const key = keyOf(socket)
      this.#hold(key, this.#slowMs)
      this.#enter(socket)
    }
  }

  #hold(key: string, ms: number, who?: string): void {
    clearTimeout(this.#opening.get(key)?.timer)
    const timer = setTimeout(() => this.#free(key), ms).unref()
    this.#opening.set(key, { timer, ...(who !== undefined && { who }) })
  }

  #free(key: string): void {
    const held = this.#opening.get(key)
    if (!held) return
    clearTimeout(held.timer)
    this.#opening.delete(key)
    if (held.who !== undefined && this.#belongs.get(held.who) === key) this.#belongs.delete(held.who)
    this.#next()
  }
}

const keyOf = ({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>) =>
  `${remoteAddress} ${remotePort}`
