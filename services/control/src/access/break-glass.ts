import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RekeyError } from '@rekey/contracts'
import type { BreakGlassUse, Ledger } from '@rekey/ledger'
import { type Logger, pause, retrying, type Spool } from '@rekey/runtime'
import { createLocalJWKSet, decodeProtectedHeader, errors, type JSONWebKeySet, jwtVerify } from 'jose'
import { ControlProblem } from '../problem.ts'
import type { Caller } from './caller.ts'

/** What a break-glass token is, so that it is never taken for one of the issuer's. `rekey break-glass issue` makes them. */
export const TOKEN_TYPE = 'rekey-break-glass+jwt'
const ISSUER = 'rekey-break-glass'
const AUDIENCE = 'rekey-control'
/** From its first use on. */
const OPEN_MS = 3_600_000
/** How often the spool is looked at. */
const REPLAY_MS = 5_000

const PERSON = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/

export type BreakGlassKeys = ReturnType<typeof createLocalJWKSet>

/** The public keys of those who make tokens, from a JWK set. Only Ed25519, because nothing else is made. */
export function readBreakGlassKeys(file: string): BreakGlassKeys {
  try {
    const set = JSON.parse(readFileSync(file, 'utf8')) as JSONWebKeySet
    const keys = set.keys ?? []
    if (keys.length === 0) throw new Error('it has no key')
    if (keys.some((key) => key.crv !== 'Ed25519')) throw new Error('it has a key that is not Ed25519')
    // Whoever had it could make tokens for everybody.
    if (keys.some((key) => 'd' in key)) throw new Error('it has a private key, which must stay elsewhere')
    return createLocalJWKSet(set)
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unreadable'
    throw new RekeyError('invalid_configuration', `CONTROL_BREAK_GLASS_KEYS_FILE: ${file}: ${why}`)
  }
}

export function isBreakGlass(token: string): boolean {
  try {
    return decodeProtectedHeader(token).typ === TOKEN_TYPE
  } catch {
    return false
  }
}

/** Whom a break-glass token was made for. It asks nobody: that is what it is for. */
export async function breakGlassHolder(token: string, keys: BreakGlassKeys): Promise<Caller> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ['EdDSA', 'Ed25519'],
      typ: TOKEN_TYPE,
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ['exp', 'jti', 'sub'],
    })
    const { sub, jti } = payload
    if (typeof sub !== 'string' || !PERSON.test(sub)) throw new Error('its person cannot be recorded')
    if (typeof jti !== 'string' || !/^[A-Za-z0-9-]{8,64}$/.test(jti)) throw new Error('it has no name')
    return { type: 'BreakGlass', id: sub, actor: `break-glass/${sub}`, token: jti }
  } catch (error) {
    const why =
      error instanceof errors.JWTExpired
        ? 'it has expired: it was made for a time that is over'
        : error instanceof errors.JWKSNoMatchingKey
          ? 'control does not know the key that it was made with'
          : error instanceof errors.JWSSignatureVerificationFailed
            ? 'its signature is wrong'
            : 'it cannot be read'
    throw new ControlProblem('unauthenticated', `the break-glass token is refused: ${why}`)
  }
}

/** What of a use is known before it is answered. */
export type Intended = Omit<BreakGlassUse, 'use' | 'at' | 'status'>

export type Seal = ReturnType<typeof breakGlassSeal>

/**
 * Sees to it that no use of a break-glass token is without a trace: it is in the spool before anything is done, and in
 * the journal when the ledger takes it. One that was cut off comes without an answer.
 */
export function breakGlassSeal(ledger: Ledger, spool: Spool<BreakGlassUse>, logger: Logger) {
  const underway = new Set<string>()
  /** Answers that are being told. */
  const telling = new Set<Promise<void>>()
  const ended = new AbortController()
  const unreadable = new Set<string>()

  async function tell(used: BreakGlassUse): Promise<void> {
    await ledger.recordBreakGlassUse(used)
    await spool.remove(used.use)
  }

  /** What an earlier process left, and what the ledger would not take. */
  async function replay(): Promise<void> {
    const kept = await spool.read((id) => {
      if (!unreadable.has(id)) logger.error({ id }, 'a record in the spool cannot be read, and stays there')
      unreadable.add(id)
    })
    for (const { id, record } of kept) if (!underway.has(id)) await tell(record)
  }
  const replaying = retrying(logger, 'tell the ledger what is in the spool', ended.signal, async () => {
    await replay()
    await pause(REPLAY_MS, ended.signal)
  })

  return {
    /** Names and dates this use. Throws where it cannot be kept: then nothing is done either. */
    async intend(intended: Intended): Promise<Pick<BreakGlassUse, 'use' | 'at'>> {
      const use = randomUUID()
      const at = new Date().toISOString()
      underway.add(use)
      try {
        await spool.keep(use, { ...intended, use, at, status: null })
      } catch (error) {
        underway.delete(use)
        throw error
      }
      return { use, at }
    },
    /** Breaks the seal of a token at its first use. Throws where its hour is over. */
    async open({ token, person }: Pick<Intended, 'token' | 'person'>): Promise<void> {
      const { endsAt, ended } = await ledger.openBreakGlass({ token, person, forMs: OPEN_MS })
      if (ended)
        throw new ControlProblem(
          'unauthenticated',
          `the break-glass token is refused: it was used, and ended at ${endsAt}`,
        )
    },
    answered(used: BreakGlassUse): Promise<void> {
      const told = tellAnswer(used).finally(() => telling.delete(told))
      telling.add(told)
      return told
    },
    async close(): Promise<void> {
      ended.abort()
      await Promise.all([replaying, ...telling])
    },
  }

  async function tellAnswer(used: BreakGlassUse): Promise<void> {
    try {
      // With its answer, for the case that the ledger is away.
      await spool.keep(used.use, used)
      await tell(used)
    } catch (error) {
      logger.error(
        { error, use: used.use },
        'the use of a break-glass token is in the spool, and not in the ledger',
      )
    } finally {
      underway.delete(used.use)
    }
  }
}
