import { createRequire } from 'node:module'
import type { Plan } from '../plan.ts'
import { roles } from './names.ts'
import { after, before } from './points.ts'

type Message = {
  type: string
  state?: { accept: { generation: number }[]; refuse: number[] }
  proofs?: { generation: number }[]
}
type Send = (data: unknown, options?: unknown, done?: (error?: Error) => void) => void

/** Points are the messages between fleet and agents: orders, proofs, refusals. */
export function hookChannel(): void {
  // Of the service's own dependencies: this folder has no business with WebSockets.
  const WebSocket = createRequire(process.argv[1] ?? import.meta.url)('ws')
  const send: Send = WebSocket.prototype.send
  WebSocket.prototype.send = function (this: unknown, ...args: Parameters<Send>) {
    const [data] = args
    const act = before((plan) => (typeof data === 'string' ? [labelOf(JSON.parse(data), plan)] : []))
    if (!act || args.length > 1) return Reflect.apply(send, this, args)
    return Reflect.apply(send, this, [data, {}, () => after(act)])
  }
}

function labelOf({ type, state, proofs }: Message, plan: Plan): string {
  const generations = (state?.accept ?? proofs)?.map((item) => item.generation)
  return ['channel', type, ...(generations ? [roles(generations, plan)] : [])].join(' ')
}
