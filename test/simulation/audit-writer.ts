import type { SimLedger } from './ledger.ts'
import type { Process } from './process.ts'

type Sent = Awaited<ReturnType<SimLedger['unsentRecords']>>[number]

/** Brings journal entries to the audit topic, and tells rotations when their intents are there. */
export class AuditWriter {
  readonly process: Process
  readonly #ledger: SimLedger
  readonly topic: Sent[] = []
  #isPlanned = false

  constructor(process: Process, ledger: SimLedger) {
    this.process = process
    this.#ledger = ledger
    process.onRestart = () => {
      this.#isPlanned = false
      this.wake()
    }
  }

  /** There may be something new. */
  wake(ms = this.process.ground.random.between(5, 60)): void {
    if (this.#isPlanned || !this.process.isUp) return
    this.#isPlanned = true
    this.process.after(ms, async () => {
      this.#isPlanned = false
      if (!(await this.#write())) this.wake(400)
    })
  }

  async #write(): Promise<boolean> {
    const ledger = this.#ledger
    const { ground } = this.process
    const last = await ledger.lastRecord()
    const entries = await ledger.unaudited(500)
    const records = entries.map((entry, i) => {
      const sequence = (last?.sequence ?? 0) + 1 + i
      const { position, stream, type } = entry
      return { position, sequence, key: stream, bytes: `${position} ${type}`, hash: String(sequence) }
    })
    if (records.length > 0) await ledger.storeRecords(records)
    const unsent = await ledger.unsentRecords(1_000)
    if (unsent.length > 0) {
      if (ground.hit('audit-down')) return false
      this.topic.push(...unsent)
      // The topic has it and we do not know: it is sent again, the same bytes.
      if (!ground.isHealed && ground.random.chance(0.05)) return false
      await ledger.markSent(unsent.map((r) => r.sequence))
    }
    await ledger.settleIntents()
    return true
  }
}
