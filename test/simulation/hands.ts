import { nodesAuthority } from './endpoints.ts'
import type { Ground } from './ground.ts'
import type { ServingNode } from './node.ts'
import type { Places } from './place.ts'
import type { Process } from './process.ts'
import type { Leased } from './rotator.ts'
import type { Hands } from './rotator-code.ts'
import { type OnWrite, Way } from './servers/way.ts'
import { type StoreServers, storeOf } from './stores.ts'

export type Workshop = {
  ground: Ground
  places: Places
  servers: StoreServers
  nodes: ServingNode[]
  make: (credential: string) => string
  onWrite: OnWrite
}

/** What an act works with: the real stores' code, over servers of this world. */
export function handsFor(
  { effect, rotation: { credential } }: Leased,
  process: Process,
  { ground, places, servers, nodes, make, onWrite }: Workshop,
): Hands {
  const place = places.get(credential)
  if (!place) throw new Error(`no place for ${credential}`)
  const { plan } = place
  const way = (server: string, isFenced: boolean) =>
    new Way(process, { server, effect: effect.kind, onWrite, isFenced })
  const stores = plan.stores.map((name) => ({
    name,
    store: storeOf(servers, name, credential, way(name, true)),
  }))
  const proberStores = stores.filter(({ name }) => name !== 'aws')
  // No authority can tell a late one of these from a new one, so none is sent after its deadline.
  const isReversible = effect.kind === 'suspend' || effect.kind === 'reinstate'
  const authority =
    plan.direction === 'outbound'
      ? place.authority.client(way('authority', place.isFenced && !isReversible), () => make(credential))
      : nodesAuthority(way('endpoints', true), {
          credential,
          nodes,
          isBalanced: place.isBalanced,
          pick: (from) => ground.random.pick(from),
          make: () => make(credential),
        })
  return { stores, proberStores, authority }
}
