/** A sleep that ends early when it is rung. Rings while nobody sleeps are remembered once. */
export class Alarm {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted)
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        this.#wake = wake
        signal.addEventListener('abort', wake)
      })
    this.#wake = undefined
    this.#rung = false
  }
}
