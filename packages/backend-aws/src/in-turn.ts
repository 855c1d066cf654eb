import { type Call, RekeyError } from '@rekey/contracts'

const lines = new WeakMap<object, Map<string, Promise<void>>>()

/**
 * One piece of work on a secret at a time, among those that share a client. What one reads of the labels must still be so when
 * it starts a run, and AWS has no compare-and-set for that.
 */
export async function inTurn<T>(
  client: object,
  secretId: string,
  { signal }: Call,
  work: () => Promise<T>,
): Promise<T> {
  const line = lines.get(client) ?? new Map<string, Promise<void>>()
  lines.set(client, line)
  const before = line.get(secretId) ?? Promise.resolve()
  const { promise: mine, resolve: leave } = Promise.withResolvers<void>()
  line.set(
    secretId,
    before.then(() => mine),
  )
  try {
    await untilAborted(before, signal, secretId)
    return await work()
  } finally {
    leave()
  }
}

async function untilAborted(turn: Promise<void>, signal: AbortSignal, secretId: string): Promise<void> {
  const late = () =>
    new RekeyError('backend_timeout', `the secret ${secretId} is being worked on, and the deadline passed`)
  if (signal.aborted) throw late()
  const { promise: cut, reject } = Promise.withResolvers<never>()
  const cutOff = () => reject(late())
  signal.addEventListener('abort', cutOff, { once: true })
  try {
    await Promise.race([turn, cut])
  } finally {
    signal.removeEventListener('abort', cutOff)
  }
}
