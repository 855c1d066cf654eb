import { ensureTool } from './apt.ts'
import type { Progress } from './cache.ts'

/** The path of NGINX with ngx_http_auth_request_module, from this machine or from its package manager. */
export function ensureNginx(onProgress?: Progress): Promise<string> {
  return ensureTool('nginx', ['nginx-light'], onProgress)
}
