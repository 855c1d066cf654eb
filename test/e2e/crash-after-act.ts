import { closeSync, openSync } from 'node:fs'
import pg from 'pg'

/**
 * Preloaded into the rotator by a test: the process kills itself when it is about to record an outcome for the first
 * time, so after the outside act and before the ledger knows of it. Once for each effect; a file in
 * REKEY_CRASHES remembers which.
 */
const folder = process.env.REKEY_CRASHES
const RECORDS_OUTCOME = /^update effect set state = 'done'/

const query = pg.Client.prototype.query
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [first, values] = args
  // A prepared statement comes as an object with its name.
  const text = typeof first === 'object' && first !== null && 'text' in first ? first.text : first
  const key = Array.isArray(values) ? String(values[0]) : ''
  if (
    typeof text === 'string' &&
    RECORDS_OUTCOME.test(text) &&
    folder !== undefined &&
    isFirst(`${folder}/${key}`)
  )
    process.kill(process.pid, 'SIGKILL')
  return Reflect.apply(query, this, args)
} as typeof query

function isFirst(file: string): boolean {
  try {
    closeSync(openSync(file, 'wx'))
    return true
  } catch {
    return false
  }
}
