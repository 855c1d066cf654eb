import type { Ground } from './ground.ts'

/** The way between a node and the fleet. What is lost breaks the connection: it is a stream. */
export class Link {
  readonly #ground: Ground
  readonly #node: string

  constructor(ground: Ground, node: string) {
    this.#ground = ground
    this.#node = node
  }

  get isOpen(): boolean {
    return !this.#ground.hit('partition', (fault) => fault.node === this.#node)
  }

  /** `onBroken`: what was sent is lost, and so is what was under way with it. */
  send(arrive: () => void | Promise<void>, onBroken: () => void): void {
    const { random } = this.#ground
    const isMine = (fault: { node: string }) => fault.node === this.#node
    if (!this.isOpen || (this.#ground.hit('cut', isMine) && random.chance(0.4))) {
      onBroken()
      return
    }
    let ms = this.#ground.takes(1, 10)
    if (this.#ground.hit('slow', isMine)) ms += random.between(300, 2_500)
    if (this.#ground.hit('reorder', isMine)) ms += random.between(0, 700)
    this.#ground.after(ms, arrive)
    if (this.#ground.hit('double', isMine)) this.#ground.after(ms + random.between(1, 1_500), arrive)
  }
}
