import type { Servers } from '../servers.ts'
import { sampleValue, type startNodeAt, until } from './agent-bench.ts'

/** A row of the table: an adapter with its software, and an agent that is told by the bench what to hold. */
export type AdapterCase = { name: string; start(servers: Servers): Promise<Subject> }

export type Subject = {
  /** What the adapter says of itself when its agent connects. */
  disruption(): string
  /** One request, or whatever is asked of this software; false: it failed. */
  ask(client: number): Promise<boolean>
  /** To the next generation, as a rotation does it. `answered`: what clients have on their way is answered. */
  change(answered: () => Promise<void>): Promise<void>
  /** Begins something long with the present value; undefined: there is nothing of that kind. */
  long?: () => Promise<Long>
  stop(): Promise<void>
}

/** `isOver`: it has ended, one way or the other. `intact`: it came to its end. */
export type Long = { isOver(): boolean; intact: Promise<boolean> }

type Node = Awaited<ReturnType<typeof startNodeAt>>

export const disruptionOf = (node: Node) => () => {
  const hello = node.fleet.messages.find((message) => message.type === 'hello')
  return hello?.adapters[0]?.disruption ?? 'unknown'
}

/** The node holds the new one and refuses the old one, which it has tried. */
export async function narrowed(node: Node, to: number): Promise<void> {
  const { refusals } = await node.acked(node.order([to], { refuse: [to - 1], floor: to }))
  if (refusals.length === 0 || refusals.some(({ tried }) => tried !== 'refused'))
    throw new Error(`the old generation ${to - 1} is not refused: ${JSON.stringify(refusals)}`)
}

/** What clients ask of a gateway or an application that checks their key. */
export async function inbound(
  node: Node,
  { url, stop }: { url: string; stop: () => Promise<void> },
  ask: (url: string, client: number, headers: Record<string, string>) => Promise<boolean>,
  long: (url: string, headers: Record<string, string>) => Promise<Long>,
): Promise<Subject> {
  let generation = 1
  const headers = () => ({ authorization: `Bearer ${sampleValue(generation).reveal()}` })
  node.start()
  await node.acked(node.order([1]))
  return {
    disruption: disruptionOf(node),
    ask: (client) => ask(url, client, headers()),
    async change(answered) {
      const to = generation + 1
      await node.acked(node.order([generation, to], { floor: generation }))
      generation = to
      await answered()
      await narrowed(node, to)
    },
    long: () => long(url, headers()),
    stop,
  }
}

/** What asks the software that presents a value: clients know of none. */
export async function outbound(
  node: Node,
  does: Pick<Subject, 'ask' | 'long' | 'stop'> & {
    /** Before nodes move to it, and when nobody has the old one under way any more. */
    install?: (to: number) => Promise<void>
    unused?: (old: number) => Promise<void>
    revoke: (old: number) => Promise<void>
    /** The agent's, beside what it has anyway. */
    env?: Record<string, string>
  },
): Promise<Subject> {
  let generation = 1
  const { install, unused, revoke, env, ...rest } = does
  node.start(env)
  await install?.(1)
  await node.acked(node.order([1]))
  return {
    ...rest,
    disruption: disruptionOf(node),
    async change(answered) {
      const old = generation
      generation += 1
      await install?.(generation)
      await node.acked(node.order([generation], { floor: old }))
      await answered()
      await unused?.(old)
      await revoke(old)
      await narrowed(node, generation)
    },
  }
}

export { until }
