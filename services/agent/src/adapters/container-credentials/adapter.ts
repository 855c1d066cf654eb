import type { Secret } from '@rekey/contracts'
import { readIfPresent } from '@rekey/runtime'
import { z } from 'zod'
import { awsTry } from '../aws-try.ts'
import { defineAdapter } from '../definition.ts'
import { latestOf } from '../latest.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { type Endpoint, openEndpoint } from './endpoint.ts'
import { HandOuts } from './hand-outs.ts'
import { tokenIn } from './token-file.ts'

const MINUTE_MS = 60_000

export const ContainerCredentialsConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('container-credentials'),
  /** On 127.0.0.1. */
  port: z.number().int().min(1).max(65_535),
  /** Made where there is none. Applications send what is in it. */
  tokenFile: z.string().min(1),
  /**
   * For how long an application is told that it may use a key: the bound of how long an old one is used. SDKs ask 5 minutes before the
   * end, or 15; with less than 5 each call would ask.
   */
  ttlMs: z
    .number()
    .int()
    .min(5 * MINUTE_MS)
    .max(12 * 60 * MINUTE_MS)
    .default(20 * MINUTE_MS),
})
export type ContainerCredentialsConfig = z.infer<typeof ContainerCredentialsConfig>

/** Gives AWS SDKs the access key that they present, as a container's credential provider does. They follow without a restart. */
export function containerCredentialsAdapter({
  port,
  tokenFile,
  ttlMs,
}: ContainerCredentialsConfig): NodeAdapter {
  const startedAt = performance.now()
  const handOuts = new HandOuts(ttlMs)
  let given: { generation: number; id: string; secret: Secret } | undefined
  let open: { endpoint: Endpoint; token: string } | undefined
  /** What AWS refused before anybody was given it. */
  let declined: Secret | undefined

  /** Of the agents before this one nobody knows what they handed out last: all of that has ended when this is over. */
  const isBeforeThat = () => performance.now() < startedAt + ttlMs

  function take() {
    if (!given) return undefined
    handOuts.note(given.generation, performance.now())
    return { id: given.id, secret: given.secret, endsAt: new Date(Date.now() + ttlMs) }
  }

  async function opened(): Promise<void> {
    const token = await tokenIn(tokenFile)
    if (open?.token === token && open.endpoint.isOpen()) return
    await open?.endpoint.close()
    open = undefined
    open = { token, endpoint: await openEndpoint(port, token, take) }
  }

  return {
    kind: 'container-credentials',
    disruption: 'A',
    canTry: true,
    async apply(accept) {
      declined = undefined
      const latest = latestOf(accept)
      const key = latest && (await keyIn(latest.value))
      // Every application on this node would use it. What works stays, and the try that follows says why.
      if (latest && latest.generation !== given?.generation && (await awsTry(latest.value)) === 'refused') {
        declined = latest.value
        return
      }
      await opened()
      given = key && { generation: latest.generation, ...key }
    },
    async holds(accept) {
      const isGiven = given?.generation === latestOf(accept)?.generation
      return isGiven && open?.endpoint.isOpen() === true && (await readIfPresent(tokenFile)) === open.token
    },
    async tryValue(value) {
      return declined?.equals(value) ? 'refused' : awsTry(value)
    },
    /** Until the hand-outs of an earlier agent have ended there is no count that would not have to be taken back. */
    async usage() {
      const usage = handOuts.usage(performance.now())
      return isBeforeThat() ? usage.map((one) => ({ ...one, requests: 0 })) : usage
    },
    /** As if it had begun when those ended: before that, each generation may be in use. */
    async countingAgeMs() {
      return Math.max(0, performance.now() - startedAt - ttlMs)
    },
    async close() {
      await open?.endpoint.close()
      open = undefined
    },
  }
}

async function keyIn(value: Secret): Promise<{ id: string; secret: Secret }> {
  const { accessKeyIn } = await import('@rekey/backend-aws')
  const key = accessKeyIn(value)
  if (!key)
    throw new Error('the value is not an access key in JSON, as the authority aws-iam-access-key makes them')
  return key
}

export const containerCredentialsDefinition = defineAdapter({
  config: ContainerCredentialsConfig,
  claims: ({ port, tokenFile }) => [`port ${port} of 127.0.0.1`, `path ${tokenFile}`],
  resolved: (config, at) => ({ ...config, tokenFile: at(config.tokenFile) }),
  make: containerCredentialsAdapter,
})
