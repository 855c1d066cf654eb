import type { Ongoing } from './ongoing.ts'
import { sendZoneChange } from './zone-change.ts'

/** What a rotation is asked to do, and by whom. */
export type Journey = {
  name: string
  ends: 'closed' | 'rolled-back'
  /** Whether clients may see a refusal: the price of a containment, and of nothing else. */
  clientsMayFail: boolean
  /** What it cannot show, by its nature. */
  exceptions: string[]
  /** Whether the audit topic's word is awaited; if not, it may come before the end or after it. */
  waitsForAudit: boolean
  /** Asks for the rotation; resolves when the ledger has it. */
  begin(ongoing: Ongoing): Promise<void>
  /** What people do while it is under way. */
  meanwhile?(ongoing: Ongoing): Promise<void>
}

export const JOURNEYS: Journey[] = [
  {
    name: 'rotate',
    ends: 'closed',
    clientsMayFail: false,
    exceptions: [],
    waitsForAudit: true,
    async begin(ongoing) {
      await sendZoneChange(ongoing)
      await ongoing.until('the rotation', ongoing.isOpen)
    },
  },
  {
    name: 'rollback',
    ends: 'rolled-back',
    clientsMayFail: false,
    exceptions: [],
    waitsForAudit: true,
    begin: (ongoing) => order(ongoing, 'rotate'),
    async meanwhile(ongoing) {
      const { control } = ongoing.bench.world
      // Somebody still uses the old value, so that the order is never too late, however long the dead hold it up.
      await using _straggler = straggler(ongoing)
      await ongoing.until('the drain', () => ongoing.happened('DrainingStarted'))
      await ongoing.insist(
        'the rollback',
        () => control.rollback(ongoing.rotation, 'second thoughts'),
        () => ongoing.happened('SuccessorAbandoned'),
      )
    },
  },
  {
    name: 'expedite',
    ends: 'closed',
    clientsMayFail: false,
    exceptions: [],
    waitsForAudit: false,
    begin: (ongoing) => order(ongoing, 'expedite'),
  },
  {
    name: 'contain',
    ends: 'closed',
    clientsMayFail: true,
    exceptions: ['no_positive_control'],
    waitsForAudit: false,
    begin: (ongoing) => order(ongoing, 'contain'),
  },
]

async function order(ongoing: Ongoing, verb: 'rotate' | 'expedite' | 'contain'): Promise<void> {
  const { control, credential } = ongoing.bench.world
  await ongoing.insist('the rotation', () => control[verb](credential, 'by order'), ongoing.isOpen)
}

/** A client that presents the old value everywhere, again and again, until it is disposed of. */
function straggler({ bench: { world }, old }: Ongoing): AsyncDisposable {
  let ended = false
  const running = (async () => {
    while (!ended) {
      const seen = await world.knock(old)
      if (seen.some((status) => status !== 200)) throw new Error(`the old value was refused: ${seen}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  })()
  // Told at its end.
  running.catch(() => undefined)
  return {
    async [Symbol.asyncDispose]() {
      ended = true
      await running
    },
  }
}
