import { type Authority, type ProbeResult, Secret } from '@rekey/contracts'
import type { ServingNode } from './node.ts'
import type { AnyWay } from './servers/way.ts'

/** Inbound: the nodes are the authority. A prober comes from outside, through a balancer or to each node. */
export function nodesAuthority(
  way: AnyWay,
  about: {
    credential: string
    nodes: ServingNode[]
    isBalanced: boolean
    pick: (nodes: ServingNode[]) => ServingNode
    make: () => string
  },
): Authority {
  const { credential, isBalanced, pick } = about
  const ask = (node: ServingNode | undefined, text: string): ProbeResult['verdict'] => {
    const gateway = node?.keepers.get(credential)?.gateway
    if (!node || node.isDown || !gateway) return 'unknown'
    return [...gateway.values()].includes(text) ? 'accepted' : 'refused'
  }
  return {
    kind: 'nodes',
    direction: 'inbound',
    slots: 2,
    valueFrom: 'us',
    make: () => Secret.of(about.make()),
    probe: (value, call) =>
      way
        .read(call, (): ProbeResult[] => {
          const serving = about.nodes.filter((node) => !node.isDown && node.keepers.get(credential)?.gateway)
          const text = value.reveal()
          if (isBalanced || serving.length === 0) {
            const node = serving.length > 0 ? pick(serving) : undefined
            return [
              { endpoint: 'balancer', verdict: ask(node, text), seen: node ? 'answered' : 'no connection' },
            ]
          }
          return serving.map((node) => ({ endpoint: node.name, verdict: ask(node, text), seen: 'answered' }))
        })
        .catch((): ProbeResult[] => [{ endpoint: 'balancer', verdict: 'unknown', seen: 'no answer' }]),
  }
}
