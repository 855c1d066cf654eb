import { X509Certificate } from 'node:crypto'
import type { FleetToAgent } from '@rekey/contracts'
import {
  certificateMatches,
  type Identity,
  type identityFiles,
  isDueForRenewal,
  isExpired,
} from './identity.ts'
import type { Log } from './log.ts'
import { publicKeyOf } from './private-key.ts'

const LOOK_MAX_MS = 60_000
const LOOK_MIN_MS = 1_000

/**
 * How often to look whether renewal is due, which is also how long the fleet has for an answer before it is asked again. A
 * certificate of minutes leaves room for several tries too.
 */
export function renewalLookMs({ certificate }: Pick<Identity, 'certificate'>): number {
  const { validFrom, validTo } = new X509Certificate(certificate)
  const share = (Date.parse(validTo) - Date.parse(validFrom)) / 20
  return Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, share))
}

type Options = {
  identity: Identity
  files: Pick<ReturnType<typeof identityFiles>, 'replaceCertificate'>
  log: Log
  now?: () => number
}

/** Gets the next certificate over the session that the present one opened. The key stays. */
export class Renewal {
  readonly #options: Options
  #identity: Identity

  constructor(options: Options) {
    this.#options = options
    this.#identity = options.identity
  }

  get identity(): Identity {
    return this.#identity
  }

  async requestIfDue(): Promise<string | undefined> {
    const now = this.#options.now?.() ?? Date.now()
    if (!isDueForRenewal(this.#identity, now)) return undefined
    // Loaded once a day or so: the X.509 library is large.
    const { signingRequest } = await import('./signing-request.ts')
    return signingRequest(this.#identity.privateKey, this.#identity.spiffeId)
  }

  /** An answer that nobody asked for, or that is for another key or shorter than what we have, changes nothing. */
  async take(renewed: Extract<FleetToAgent, { type: 'renewed' }>): Promise<void> {
    const { files, log } = this.#options
    const { certificate, authorities, expiresAt } = renewed
    try {
      const isOurs = certificateMatches(certificate, publicKeyOf(this.#identity.privateKey))
      if (!isOurs || isExpired(renewed, Date.parse(this.#identity.expiresAt))) {
        log.warn({ expiresAt }, 'a renewed certificate was refused')
        return
      }
      await files.replaceCertificate({ certificate, authorities, expiresAt })
      this.#identity = { ...this.#identity, certificate, authorities, expiresAt }
      log.info({ expiresAt }, 'the certificate was renewed')
    } catch {
      log.warn({ expiresAt }, 'a renewed certificate could not be taken')
    }
  }
}
