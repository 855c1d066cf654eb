import type { JournalEntry } from '@rekey/ledger'
import type { ControlClient, Watched } from './control-client.ts'
import { EXIT, type ExitCode } from './exit-code.ts'

export type Followed = {
  end: 'closed' | 'rolled-back' | 'held' | 'timeout'
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
  let hold: { detail: string; timer: NodeJS.Timeout | undefined } | undefined
  const lift = () => {
    clearTimeout(hold?.timer)
    hold = undefined
  }
  try {
    for await (const watched of client.watch(rotation, { signal: AbortSignal.any([signal, held.signal]) })) {
      if (watched.type === 'end')
        return {
          end: watched.outcome === 'closed' ? 'closed' : 'rolled-back',
          detail: watched.exceptions.join(', '),
        }
      onEntry?.(watched.entry)
      if (watched.entry.type === 'HoldLifted') lift()
      if (watched.entry.type !== 'HoldPlaced') continue
      // A second hold on top of the first does not begin its time again.
      const timer =
        hold?.timer ?? (holdGraceMs === undefined ? undefined : setTimeout(() => held.abort(), holdGraceMs))
      hold = { detail: detailOf(watched), timer }
    }
    if (held.signal.aborted && hold) return { end: 'held', detail: hold.detail }
    return { end: 'timeout', detail: hold ? `held: ${hold.detail}` : '' }
  } finally {
    clearTimeout(hold?.timer)
  }
}

export function exitCodeOf({ end }: Followed): ExitCode {
  switch (end) {
    case 'closed':
      return EXIT.closed
    case 'rolled-back':
      return EXIT.rolledBack
    case 'held':
      return EXIT.held
    case 'timeout':
      return EXIT.timeout
    default:
      return end satisfies never
  }
}

function detailOf(watched: Extract<Watched, { type: 'entry' }>): string {
  const hold = watched.entry.data.hold
  if (typeof hold !== 'object' || hold === null) return ''
  const { reason = '', detail = '' } = hold as { reason?: string; detail?: string }
  return `${reason.replaceAll('_', ' ')}: ${detail}`
}
