import { Complaint } from './complaint.ts'

/** `1` or `g1`, as key ids and rotations spell it. */
export function parseGeneration(text: string): number {
  const [, digits] = /^g?([1-9]\d{0,8})$/.exec(text) ?? []
  if (digits === undefined)
    throw new Complaint('bad_usage', `"${text}" is not a generation`, 'Write its number, such as 3.')
  return Number(digits)
}
