import type { Progress } from './cache.ts'
import type { Ports } from './port.ts'
import type { Server, ServerName } from './server.ts'
import type { Addresses } from './stack.ts'

export async function dockerServers(
  _dir: string,
  _names: readonly ServerName[],
  _ports: Ports,
  _addresses: Addresses,
  _progress: Progress,
): Promise<Partial<Record<ServerName, Server>>> {
  return {}
}
