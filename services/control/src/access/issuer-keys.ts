import { readFile } from 'node:fs/promises'
import { RekeyError } from '@rekey/contracts'
import type { Logger } from '@rekey/runtime'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'

/** Where the issuer's public keys are. */
export type KeyPlace = { file: string } | { url: string } | { issuer: string }

export type IssuerKeys = {
  /** The key that a token names. */
  find: JWTVerifyGetKey
  /** Reads them, unless that was tried just now. False: it has none that may be used. */
  refresh(): Promise<boolean>
  close(): void
}

export type KeyTimes = {
  /** How often they are read anew, so that a key that the issuer took back ends here too. */
  refreshMs: number
  /** The shortest time between two tries: made-up key ids must not become a flood at the issuer. */
  againMs: number
  /** How long keys are used that could not be read anew. */
  staleMs: number
}

const TIMES: KeyTimes = { refreshMs: 5 * 60_000, againMs: 10_000, staleMs: 24 * 3_600_000 }
const FETCH_MS = 5_000

/**
 * Keeps the issuer's keys. While the issuer is away those that are known go on working, for a day; without any, tokens are
 * answered with "try again" and never with "come in".
 */
export function issuerKeys(place: KeyPlace, logger: Logger, times: Partial<KeyTimes> = {}): IssuerKeys {
  const { refreshMs, againMs, staleMs } = { ...TIMES, ...times }
  let keys: { find: JWTVerifyGetKey; readAt: number } | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let underWay: Promise<void> | undefined

  async function read(): Promise<void> {
    triedAt = performance.now()
    try {
      keys = { find: createLocalJWKSet(await load(place)), readAt: triedAt }
    } catch (error) {
      const known = keys !== undefined
      logger.warn({ error: reasonOf(error), place, known }, 'the keys of the token issuer cannot be read')
    }
  }

  const usable = () => keys !== undefined && performance.now() - keys.readAt < staleMs

  async function refresh(): Promise<boolean> {
    if (!underWay && performance.now() - triedAt >= againMs)
      underWay = read().finally(() => {
        underWay = undefined
      })
    await underWay
    return usable()
  }

  const timer = setInterval(() => void refresh(), refreshMs).unref()

  return {
    refresh,
    async find(header, token) {
      const known = (usable() || (await refresh())) && keys
      if (!known)
        throw new RekeyError(
          'backend_unavailable',
          'the keys of the token issuer cannot be read, so no token can be checked',
        )
      try {
        return await known.find(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        // The issuer may have a new key since.
        await refresh()
        if (!keys || keys === known) throw error
        return keys.find(header, token)
      }
    },
    close: () => clearInterval(timer),
  }
}

async function load(place: KeyPlace): Promise<JSONWebKeySet> {
  if ('file' in place) return JSON.parse(await readFile(place.file, 'utf8'))
  if ('url' in place) return (await fetchJson(place.url)) as JSONWebKeySet
  const { issuer } = place
  const found = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  const { issuer: named, jwks_uri: url } = found as { issuer?: unknown; jwks_uri?: unknown }
  if (named !== issuer) throw new Error('its openid-configuration names another issuer')
  if (typeof url !== 'string' || !isSafe(url))
    throw new Error('its openid-configuration names no jwks_uri in https')
  return (await fetchJson(url)) as JSONWebKeySet
}

async function fetchJson(url: string): Promise<object> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_MS) })
  if (!response.ok) throw new Error(`it answered ${response.status}`)
  const body: unknown = await response.json()
  if (typeof body !== 'object' || body === null) throw new Error('its answer is no JSON object')
  return body
}

/** Keys that came over plain HTTP could be anybody's, but on this host. */
export function isSafe(text: string): boolean {
  const url = URL.parse(text)
  if (url?.protocol === 'https:') return true
  return url?.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
}

/** fetch hides why it failed one level down. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error.message}${cause}`
}
