import type { Hold, Outcome } from '@rekey/core'
import type { JournalEntry } from '@rekey/ledger'
import type { ControlClient } from './control-client.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { holdWords } from './hold.ts'

export type Followed = {
  end: Outcome | 'held' | 'timeout'
  /** Why it is held, or what could not be shown. */
  detail: string
}

/**
 * Watches a rotation to its end. With `holdGraceMs`, a hold that lasts so long is an end too: what it waits for may
 * come by itself, but a pipeline shall not wait for a human.
 */
export async function followRotation(
  client: Pick<ControlClient, 'watch'>,
  rotation: string,
  options: { signal: AbortSignal; holdGraceMs?: number; onEntry?: (entry: JournalEntry) => void },
): Promise<Followed> {
  const { signal, holdGraceMs, onEntry } = options
  const held = new AbortController()
  /** Open holds by reason and subject; the first one starts the grace, and the last one's end ends it. */
  const holds = new Map<string, string>()
  let timer: NodeJS.Timeout | undefined
  const lift = () => {
    clearTimeout(timer)
    timer = undefined
  }
  try {
    for await (const watched of client.watch(rotation, { signal: AbortSignal.any([signal, held.signal]) })) {
      if (watched.type === 'end')
        return {
          end: outcomeOf(watched.outcome),
          detail: watched.exceptions.join(', '),
        }
      onEntry?.(watched.entry)
      const { type, data } = watched.entry
      if (type === 'HoldLifted') {
        holds.delete(`${data.reason} ${data.about}`)
        if (holds.size === 0) lift()
      }
      if (type !== 'HoldPlaced') continue
      const hold = data.hold as Hold
      holds.set(`${hold.reason} ${hold.about}`, holdWords(hold))
      if (holdGraceMs !== undefined) timer ??= setTimeout(() => held.abort(), holdGraceMs)
    }
    const detail = [...holds.values()].join('; ')
    if (held.signal.aborted && holds.size > 0) return { end: 'held', detail }
    return { end: 'timeout', detail: detail === '' ? '' : `held: ${detail}` }
  } finally {
    lift()
  }
}

/** What a newer control may call its end is not taken for a success. */
function outcomeOf(outcome: string): Outcome {
  return outcome === 'closed' || outcome === 'cancelled' ? outcome : 'rolled-back'
}

export function exitCodeOf({ end }: Followed): ExitCode {
  switch (end) {
    case 'closed':
      return EXIT.closed
    case 'rolled-back':
    case 'cancelled':
      return EXIT.rolledBack
    case 'held':
      return EXIT.held
    case 'timeout':
      return EXIT.timeout
    default:
      return end satisfies never
  }
}
