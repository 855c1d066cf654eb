import http from 'node:http'
import https from 'node:https'
import type { Plan } from '../plan.ts'
import { shortened } from './names.ts'
import { after, before } from './points.ts'

/** Points are all requests, reads too: Vault and AWS through `request`, gateways through `fetch`. */
export function hookHttp(): void {
  for (const module of [http, https]) {
    const request = module.request
    module.request = ((...args: unknown[]) => {
      const act = before((plan) => [labelOf(args, plan)])
      const outgoing = Reflect.apply(request, module, args) as http.ClientRequest
      // The answer's end is seen here before anybody can act on it: that takes another turn of the loop.
      if (act) outgoing.once('response', (reply) => reply.once('end', () => after(act)))
      return outgoing
    }) as typeof request
  }
  const { fetch } = globalThis
  globalThis.fetch = async (...args) => {
    const act = before((plan) => [`try ${shortened(urlOf(args[0]), plan)}`])
    const response = await fetch(...args)
    after(act)
    return response
  }
}

type RequestOptions = { method?: string; path?: string; headers?: Record<string, unknown> }

function labelOf(args: unknown[], plan: Plan): string {
  const [first, second] = args
  const url = first instanceof URL ? first : typeof first === 'string' ? new URL(first) : undefined
  const options = (url ? second : first) as RequestOptions | undefined
  const target = Object.entries(options?.headers ?? {}).find(
    ([name]) => name.toLowerCase() === 'x-amz-target',
  )
  if (target) return `aws ${String(target[1]).split('.').at(-1)}`
  const path = url ? url.pathname + url.search : (options?.path ?? '')
  const { method = 'GET' } = options ?? {}
  const [, vault] = /^\/v1\/(.*)$/.exec(path) ?? []
  return vault === undefined
    ? `http ${method} ${shortened(path, plan)}`
    : `vault ${method} ${shortened(vault, plan)}`
}

function urlOf(from: Parameters<typeof fetch>[0]): string {
  return from instanceof Request ? from.url : String(from)
}
