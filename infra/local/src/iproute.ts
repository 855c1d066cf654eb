import { ensureTool } from './apt.ts'
import type { Progress } from './cache.ts'

/** The path of `ip`, which makes network namespaces, from this machine or from its package manager. */
export function ensureIproute(onProgress?: Progress): Promise<string> {
  return ensureTool('ip', ['iproute2'], onProgress)
}
