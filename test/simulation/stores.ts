import { secretsManagerStore } from '@rekey/backend-aws'
import { vaultKvStore } from '@rekey/backend-vault'
import type { Store } from '@rekey/contracts'
import type { Ground } from './ground.ts'
import { KvServer } from './servers/kv-server.ts'
import { SecretsServer } from './servers/secrets-server.ts'
import type { AnyWay } from './servers/way.ts'

export type StoreServers = Map<string, KvServer | SecretsServer>

export function storeServersOn(ground: Ground): StoreServers {
  return new Map<string, KvServer | SecretsServer>([
    ['vault', new KvServer(ground, 'vault')],
    ['aws', new SecretsServer(ground, 'aws')],
    ['vault-b', new KvServer(ground, 'vault-b')],
  ])
}

/** The real store's code, over a server of this world. */
export function storeOf(servers: StoreServers, name: string, credential: string, way: AnyWay): Store {
  const server = servers.get(name)
  if (!server) throw new Error(`no server named ${name}`)
  return server instanceof KvServer
    ? vaultKvStore(server.client(way), { mount: 'secret', path: credential })
    : secretsManagerStore(server.client(way), { secretId: credential })
}
