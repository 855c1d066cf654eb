import { setTimeout as delay } from 'node:timers/promises'

// biome-ignore lint/suspicious/noExplicitAny: Vault's replies have a shape per path, and this package reads a few fields.
type Reply = Record<string, any>

export class VaultRefusal extends Error {
  override readonly name = 'VaultRefusal'
  readonly status: number
  constructor(method: string, path: string, status: number, reasons: readonly string[]) {
    super(`Vault answered ${status} to ${method} ${path}: ${reasons.join('; ')}`)
    this.status = status
  }
}

export async function askVault(
  addr: string,
  token: string | undefined,
  method: 'GET' | 'LIST' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Reply> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const response = await fetch(`${addr}/v1/${path}`, {
      method,
      headers: token ? { 'X-Vault-Token': token } : {},
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(15_000),
    })
    const reply = (await response.json().catch(() => ({}))) as Reply
    if (response.ok) return reply
    const reasons: string[] = reply.errors ?? []
    // Just unsealed it answers 500 or 503 for a moment; a fresh KV v2 mount says 400 until it has made itself ready.
    const passing =
      [500, 503].includes(response.status) || reasons.some((reason) => /[Uu]pgrading/.test(reason))
    if (!passing || performance.now() > deadline)
      throw new VaultRefusal(method, path, response.status, reasons)
    await delay(50)
  }
}

/** A write that may be repeated. */
export async function tellVault(addr: string, token: string, path: string, body: unknown): Promise<Reply> {
  return askVault(addr, token, 'POST', path, body)
}
