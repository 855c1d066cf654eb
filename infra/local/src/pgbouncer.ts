import { ensureTool } from './apt.ts'
import type { Progress } from './cache.ts'

/** The path of PgBouncer 1.18 or newer, from this machine or from its package manager. */
export function ensurePgbouncer(onProgress?: Progress): Promise<string> {
  return ensureTool('pgbouncer', ['pgbouncer'], onProgress)
}
