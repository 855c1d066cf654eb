import { findTool, installPackages } from './apt.ts'
import type { Progress } from './cache.ts'

/** The path of HAProxy 2.6 or newer, from this machine or from its package manager. */
export async function ensureHaproxy(onProgress: Progress = () => {}): Promise<string> {
  return findTool('haproxy') ?? installPackages(['haproxy'], 'haproxy', onProgress)
}
