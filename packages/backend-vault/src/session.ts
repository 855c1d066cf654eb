import { readFile } from 'node:fs/promises'
import { RekeyError, type Secret } from '@rekey/contracts'
import nodeVault from 'node-vault'
import { rebuilt, refusalOf } from './failure.ts'
import { vaultPath } from './path.ts'
import { vaultTransport } from './transport.ts'

/** Bounds one call. A `Call` of the contracts fits. */
export type Bound = { signal?: AbortSignal }

export type VaultConnection = {
  addr: string
  /** The longest time for one request, also where the caller's signal allows more. */
  timeoutMs?: number
  /** Where the identity logs in, and what namespaces of requests are below. */
  namespace?: string
  /** PEM of the authority that signed Vault's certificate, where the system does not know it. */
  ca?: string
}

export type AppRole = { roleId: string; mount?: string } & (
  | { secretId: Secret; secretIdFile?: undefined }
  | { secretIdFile: string; secretId?: undefined }
)

export type VaultRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/v1/`; made by `vaultPath`. */
  path: string
  /** What we are doing, for an error's message. Names, never values. */
  what: string
  body?: Record<string, unknown>
  query?: Record<string, string>
  /** Below the connection's own. A token works in those below the one that it was made in. */
  namespace?: string
  wrapTtlSeconds?: number
  /** Used in place of the session's own token: a wrapping token opens itself, and a login has none. */
  token?: Secret | 'none'
  /** Statuses that are an answer for this caller rather than a failure. */
  answers?: readonly number[]
}

export type VaultReply = { status: number; body: Record<string, unknown> }

/** One identity's way to Vault: keeps its token alive and is the only place where requests are made. */
export type VaultSession = {
  readonly addr: string
  send(request: VaultRequest, bound?: Bound): Promise<VaultReply>
  close(): void
}

type Token = { text: string; renewAt: number; renewable: boolean; leaseMs: number }

const TIMEOUT_MS = 10_000

export function vaultSession(
  connection: VaultConnection,
  identity: { token: Secret } | AppRole | 'none',
): VaultSession {
  const addr = checkedAddr(connection.addr)
  const transport = vaultTransport(connection.ca === undefined ? {} : { ca: connection.ca })
  // A `debug` of our own, because node-vault's prints bodies once DEBUG=node-vault is set. The other fields are
  // set again below: an empty option would fall back to VAULT_TOKEN, VAULT_NAMESPACE and VAULT_PREFIX.
  const raw: ReturnType<typeof nodeVault> & { namespace?: string; pathPrefix?: string } = nodeVault({
    apiVersion: 'v1',
    endpoint: addr,
    debug: () => undefined,
    'request-promise': transport,
  })
  raw.token = ''
  raw.pathPrefix = ''
  raw.namespace = ''

  let token: Token | undefined
  let entering: Promise<Token> | undefined
  if (identity !== 'none' && 'token' in identity) {
    token = { text: identity.token.reveal(), renewAt: Infinity, renewable: false, leaseMs: Infinity }
  }

  async function attempt(request: VaultRequest, held: string | undefined, bound: Bound): Promise<VaultReply> {
    const deadline = AbortSignal.timeout(connection.timeoutMs ?? TIMEOUT_MS)
    const signal = bound.signal ? AbortSignal.any([bound.signal, deadline]) : deadline
    const headers: Record<string, string> = { 'X-Vault-Request': 'true' }
    if (held) headers['X-Vault-Token'] = held
    const namespace = [connection.namespace, request.namespace].filter(Boolean).join('/')
    if (namespace) headers['X-Vault-Namespace'] = namespace
    if (request.wrapTtlSeconds) headers['X-Vault-Wrap-TTL'] = `${request.wrapTtlSeconds}s`
    const query = request.query ? `?${new URLSearchParams(request.query)}` : ''
    const body = await beforeDeadline(
      signal,
      raw.request({
        method: request.method,
        path: `/${request.path}${query}`,
        headers,
        signal,
        ...(request.body && { json: request.body }),
      }),
    )
    return { status: 200, body: isRecord(body) ? body : {} }
  }

  function answered(error: unknown, request: VaultRequest): VaultReply {
    const refusal = refusalOf(error)
    if (refusal && request.answers?.includes(refusal.status)) {
      return { status: refusal.status, body: isRecord(refusal.body) ? refusal.body : {} }
    }
    throw rebuilt(error, request.what)
  }

  async function logIn(role: AppRole): Promise<Token> {
    const secretId = role.secretId?.reveal() ?? (await secretIdFrom(role.secretIdFile ?? ''))
    const what = 'log in to Vault by AppRole'
    const path = vaultPath('auth', role.mount ?? 'approle', 'login')
    try {
      const body = { role_id: role.roleId, secret_id: secretId }
      const reply = await attempt({ method: 'POST', path, what, body }, undefined, {})
      return tokenFrom(reply.body, what)
    } catch (error) {
      throw rebuilt(error, what)
    }
  }

  /** Lives on with the token where Vault grants a full lease again; else a new login. */
  async function renew(role: AppRole, old: Token): Promise<Token> {
    if (old.renewable) {
      try {
        const what = 'renew the Vault token'
        const path = vaultPath('auth', 'token', 'renew-self')
        const reply = await attempt({ method: 'POST', path, what, body: {} }, old.text, {})
        const renewed = tokenFrom(reply.body, what)
        if (renewed.leaseMs > old.leaseMs / 2) return renewed
      } catch {
        // A login tells what is wrong, if something is.
      }
    }
    return logIn(role)
  }

  /** Callers at the same time share one login. Its own deadline bounds it, and each caller's signal its wait. */
  function enter(make: () => Promise<Token>, bound: Bound): Promise<Token> {
    entering ??= make()
      .then((made) => {
        token = made
        return made
      })
      .finally(() => {
        entering = undefined
      })
    return bound.signal ? beforeDeadline(bound.signal, entering) : entering
  }

  async function currentToken(bound: Bound): Promise<string | undefined> {
    if (identity === 'none') return undefined
    if ('token' in identity) return token?.text
    if (!token) return (await enter(() => logIn(identity), bound)).text
    const old = token
    if (performance.now() < old.renewAt) return old.text
    try {
      return (await enter(() => renew(identity, old), bound)).text
    } catch {
      // The old one may have a third of its life left; if not, the 403 below says so. Not at every call again.
      old.renewAt = performance.now() + 5_000
      return old.text
    }
  }

  async function isDead(held: string, bound: Bound): Promise<boolean> {
    const request = {
      method: 'GET',
      path: 'auth/token/lookup-self',
      what: 'look up the Vault token',
    } as const
    try {
      await attempt(request, held, bound)
      return false
    } catch (error) {
      return refusalOf(error)?.status === 403
    }
  }

  async function exchange(request: VaultRequest, bound: Bound): Promise<VaultReply> {
    if (request.token)
      return attempt(request, request.token === 'none' ? undefined : request.token.reveal(), bound)
    const held = await currentToken(bound)
    try {
      return await attempt(request, held, bound)
    } catch (error) {
      const canLogIn = identity !== 'none' && !('token' in identity)
      // A 403 is either a missing right or a token that is gone; only the second is worth a new login.
      if (refusalOf(error)?.status !== 403 || !canLogIn || !held) throw error
      if (token?.text === held) {
        if (!(await isDead(held, bound))) throw error
        token = undefined
      }
      const fresh = token ?? (await enter(() => logIn(identity), bound))
      return await attempt(request, fresh.text, bound)
    }
  }

  return {
    addr,
    async send(request, bound = {}) {
      try {
        return await exchange(request, bound)
      } catch (error) {
        return answered(error, request)
      }
    },
    close: () => transport.close(),
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function beforeDeadline<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const late = () => new RekeyError('backend_timeout', 'Vault did not answer before the deadline')
  return new Promise((resolve, reject) => {
    const cut = () => reject(late())
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut))
  })
}

function tokenFrom(body: Record<string, unknown>, what: string): Token {
  const auth = body.auth
  if (!isRecord(auth) || typeof auth.client_token !== 'string') {
    throw new RekeyError('bad_response', `${what}: Vault sent no token`)
  }
  const seconds = typeof auth.lease_duration === 'number' ? auth.lease_duration : 0
  const leaseMs = seconds > 0 ? seconds * 1000 : Infinity
  return {
    text: auth.client_token,
    renewAt: performance.now() + (leaseMs * 2) / 3,
    renewable: auth.renewable === true,
    leaseMs,
  }
}

async function secretIdFrom(file: string): Promise<string> {
  try {
    // Read at every login, so that a replaced file is taken up without a restart.
    const text = (await readFile(file, 'utf8')).trim()
    if (text !== '') return text
  } catch {
    // The message below says all of it.
  }
  throw new RekeyError('invalid_configuration', `the secret id file ${file} cannot be read, or is empty`)
}

function checkedAddr(addr: string): string {
  const url = URL.canParse(addr) ? new URL(addr) : undefined
  const good = url && /^https?:$/.test(url.protocol) && url.username === '' && url.search === ''
  if (!good) throw new RekeyError('invalid_configuration', 'the Vault address must be an http or https URL')
  return addr.replace(/\/+$/, '')
}
