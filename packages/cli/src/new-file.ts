import { writeFileSync } from 'node:fs'
import { Complaint } from './complaint.ts'

/**
 * Writes something secret to a new file that only its owner can read. Never onto a file that is there: its mode may let
 * others read it, and a link may lead elsewhere.
 */
export function writeNewFile(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    throw new Complaint(
      'bad_usage',
      `cannot write to ${file}: ${why}`,
      'Name a file that does not exist yet; what was made for it is of no use to anybody.',
    )
  }
}
