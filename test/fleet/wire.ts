import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** The way of one node to the fleet: it can be cut, closed, and led to another instance. TLS passes through it unread. */
export class Wire {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #target: number
  #isOpen = true

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((near) => {
      if (!this.#isOpen) return void near.destroy()
      const far = connect({ port: this.#target, host: '127.0.0.1' })
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one)
        one.on('error', () => undefined)
        one.on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
  }

  /** A port of its own that leads to `target`, on this host. */
  static async to(target: number): Promise<Wire> {
    const wire = new Wire(target)
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve))
    return wire
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get target(): number {
    return this.#target
  }

  /** Destroys what goes over it now; the next connection may come at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Cut, and no connection until it is opened. */
  close(): void {
    this.#isOpen = false
    this.cut()
  }

  open(): void {
    this.#isOpen = true
  }

  /** Leads to another instance from now on. */
  leadTo(target: number): void {
    this.#target = target
    this.cut()
  }

  end(): void {
    this.close()
    this.#server.close()
  }
}
