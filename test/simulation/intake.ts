import type { Change } from '@rekey/core'
import type { SimLedger } from './ledger.ts'
import type { Process } from './process.ts'
import type { Random } from './random.ts'
import { type ChangeEvent, WORKLOAD } from './scenario.ts'

type Record_ = Parameters<SimLedger['receive']>[0]

/** A topic, and the one consumer that reads it. Offsets are committed after the verdict, and may be reset. */
export class Intake {
  readonly process: Process
  readonly topic: Record_[] = []
  readonly #ledger: SimLedger
  readonly #random: Random
  #committed = 0
  #position = 0
  #isReading = false
  /** Events that the ledger threw at: they are read again and again. */
  poison = 0

  constructor(process: Process, ledger: SimLedger) {
    this.process = process
    this.#ledger = ledger
    // Of its own: a repeat moves nothing in the rest of the world.
    this.#random = process.ground.random.fork('intake')
    process.onRestart = () => {
      this.#position = this.#committed
      this.#isReading = false
      this.#read()
    }
  }

  produce({ id, type, value }: ChangeEvent): void {
    const fact = type === 'vendorchanged' ? 'vendor' : type === 'zonechanged' ? 'zone' : 'dataset'
    const change: Change = { type, workload: WORKLOAD, environment: 'prod', facts: { [fact]: value } }
    this.topic.push({ source: 'bus', id, digest: `${type} ${value}`, emitter: 'pipeline', change })
    this.#read()
  }

  /** Everything is read again. */
  reset(): void {
    this.#committed = 0
    this.#position = 0
    this.#read()
  }

  #read(): void {
    if (this.#isReading || !this.process.isUp || this.#position >= this.topic.length) return
    this.#isReading = true
    const random = this.#random
    this.process.after(random.between(2, 25), async () => {
      this.#isReading = false
      const at = this.#position
      const record = this.topic[at]
      if (!record) return
      try {
        await this.#ledger.receive(record)
      } catch {
        this.poison++
        this.process.after(500, () => this.#read())
        return
      }
      this.#position = at + 1
      // A crash before this reads the record again.
      this.process.after(random.between(1, 60), () => {
        this.#committed = Math.max(this.#committed, at + 1)
      })
      this.#read()
    })
  }

  get isThrough(): boolean {
    return this.#position >= this.topic.length
  }
}
