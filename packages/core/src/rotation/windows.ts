import type { Window } from './state.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/** The first moment at or after `at` (milliseconds since the epoch, UTC) that lies in a window. No windows: `at`. */
export function nextOpening(windows: Window[], at: number): number {
  if (windows.length === 0) return at
  const midnight = Math.floor(at / DAY_MS) * DAY_MS
  // Yesterday's window may go over midnight; a week has every day once.
  const starts = [-1, 0, 1, 2, 3, 4, 5, 6, 7].flatMap((offset) =>
    windows.flatMap((window) => opening(window, midnight + offset * DAY_MS, at)),
  )
  return Math.min(...starts)
}

/** When the window that begins on this day is open at or after `at`. */
function opening({ days, from, to }: Window, midnight: number, at: number): number[] {
  const day = DAYS[new Date(midnight).getUTCDay()]
  if (!days.some((d) => d === day)) return []
  const start = midnight + minutes(from) * MINUTE_MS
  const end = midnight + minutes(to) * MINUTE_MS + (minutes(to) <= minutes(from) ? DAY_MS : 0)
  return at < end ? [Math.max(start, at)] : []
}

function minutes(time: string): number {
  const [hours = 0, rest = 0] = time.split(':').map(Number)
  return hours * 60 + rest
}
