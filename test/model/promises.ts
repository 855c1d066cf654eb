import { isCompromised, type Rotation } from '@rekey/core'
import type { ReplayedNode } from './nodes.ts'
import type { Outside } from './outside.ts'

type Seen = {
  rotation: Rotation
  isInbound: boolean
  nodes: Iterable<[string, ReplayedNode]>
  outside: Outside
  /** What the client presents; null: it has stopped. */
  client: number | null
}

/** I1 and I3, where the real core has led this world. */
export function broken({ rotation, isInbound, nodes, outside, client }: Seen): string[] {
  const found: string[] = []
  const contained = (g: number) => rotation.mode === 'contain' && isCompromised(rotation, g)
  const isDead = (g: number) => rotation.retirements.some((r) => r.generation === g && r.step === 'dead')
  const serving = [...nodes].filter(
    ([, n]) => n.runs && (!n.excused || n.returned) && !(n.lost && rotation.mode === 'contain'),
  )
  for (const [name, { order }] of serving) {
    if (isInbound && client !== null && !contained(client) && !order.accept.includes(client))
      found.push(`I1: ${name} refuses generation ${client}`)
    for (const g of order.accept) {
      if (!isInbound && !contained(g) && !outside.isAccepted(g))
        found.push(`I1: ${name} presents generation ${g}`)
      if (isDead(g)) found.push(`I3: ${name} holds generation ${g}`)
    }
  }
  if (!isInbound && client !== null && !contained(client) && !outside.isAccepted(client))
    found.push(`I1: a reader presents generation ${client}`)
  for (const [name, { shows }] of outside.stores)
    if (shows !== null && isDead(shows)) found.push(`I3: ${name} shows ${shows}`)
  return found
}
