import { Complaint } from './complaint.ts'

const UNITS_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `30s`, `10m`, `2h`, `90d`. */
export function parseDuration(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit]
  if (digits === undefined || unitMs === undefined)
    throw new Complaint('bad_usage', `"${text}" is not a duration`, 'Write 500ms, 30s, 10m, 2h or 90d.')
  return Number(digits) * unitMs
}
