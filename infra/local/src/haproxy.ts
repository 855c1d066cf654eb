import { ensureTool } from './apt.ts'
import type { Progress } from './cache.ts'

/** The path of HAProxy 2.6 or newer, from this machine or from its package manager. */
export function ensureHaproxy(onProgress?: Progress): Promise<string> {
  return ensureTool('haproxy', ['haproxy'], onProgress)
}
