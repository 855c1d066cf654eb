import { readFile } from 'node:fs/promises'
import { fromIni } from '@aws-sdk/credential-provider-ini'
import { RekeyError, Secret } from '@rekey/contracts'
import { accessKeyIn } from './access-key.ts'
import { assumedRole, type Role } from './assumed-role.ts'
import { isThrottle, rebuilt } from './failure.ts'
import { OWN_ACCOUNT, type Quota, type QuotaKind, type Quotas } from './quota.ts'

/** Bounds one call. A `Call` of the contracts fits. */
export type Bound = { signal?: AbortSignal; urgent?: boolean }

export type AwsConnection = {
  region: string
  /** A shared-credentials file, or an access key as Rekey makes them; without it the SDK's own chain (environment, profile, container, instance). */
  credentialsFile?: string
  profile?: string
  /** Assumed with those credentials: for another account. */
  role?: Role
  /** What all clients of this process may use together; without it, calls wait for nothing. */
  quotas?: Quotas
  /** Only for an emulator or a private endpoint; else AWS_ENDPOINT_URL, else AWS. */
  endpoint?: string
  /** The longest time for one request, also where the caller's signal allows more. */
  timeoutMs?: number
}

const TIMEOUT_MS = 10_000
/** The SDK asks again for credentials that end in less than 5 minutes; so a file is read again every 30 seconds. */
const CREDENTIALS_MS = 5 * 60_000 + 30_000

/** What every client of ours has: one attempt, no log, and credentials that may change under it. */
export function clientOptions({ role, ...connection }: AwsConnection): ClientOptions {
  const own: ClientOptions = {
    region: connection.region,
    maxAttempts: 1,
    // The SDK's own loggers print inputs at debug level, values included.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    ...(connection.endpoint !== undefined && { endpoint: connection.endpoint }),
    ...(connection.credentialsFile !== undefined && {
      credentials: fileCredentials(connection.credentialsFile, connection.profile ?? 'default'),
    }),
  }
  return role ? { ...own, credentials: assumedRole(own, role, boundBy(connection)) } : own
}

/** What the clients of the SDK are made with. */
export type ClientOptions = {
  region: string
  maxAttempts: number
  logger: Record<'trace' | 'debug' | 'info' | 'warn' | 'error', () => void>
  endpoint?: string
  credentials?: () => Promise<AwsCredentials>
}

export type AwsCredentials = {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
}

/** The quota of one kind of call, where the process keeps any. AWS counts a call for the account of who makes it. */
export function quotaOf({ quotas, role, region }: AwsConnection, kind: QuotaKind): Quota | undefined {
  const account = role?.arn.split(':')[4] ?? OWN_ACCOUNT
  return quotas?.of(account, kind === 'iam' ? 'all regions' : region, kind)
}

export type Within = ReturnType<typeof boundBy>

/**
 * Runs one call in the time it has, when the quota has a turn for it, and throws RekeyError only. Only an abort bounds an
 * SDK call: its request timeout warns, and a dripping body outlives it.
 */
export function boundBy({ timeoutMs = TIMEOUT_MS }: Pick<AwsConnection, 'timeoutMs'>) {
  return async function within<T>(
    what: string,
    bound: Bound,
    work: (signal: AbortSignal) => Promise<T>,
    quota?: Quota,
  ): Promise<T> {
    const takenAt = quota && !bound.signal?.aborted ? await quota.turn(what, bound) : 0
    const deadline = AbortSignal.timeout(timeoutMs)
    const signal = bound.signal ? AbortSignal.any([bound.signal, deadline]) : deadline
    const late = new RekeyError('backend_timeout', `${what}: AWS did not answer before the deadline`)
    if (signal.aborted) throw late
    let cut: (() => void) | undefined
    const cutOff = new Promise<never>((_, reject) => {
      cut = () => reject(late)
      signal.addEventListener('abort', cut, { once: true })
    })
    try {
      const done = await Promise.race([work(signal), cutOff])
      quota?.passed(takenAt)
      return done
    } catch (error) {
      if (signal.aborted) throw late
      if (isThrottle(error)) quota?.refused(takenAt)
      throw rebuilt(error, what)
    } finally {
      if (cut) signal.removeEventListener('abort', cut)
    }
  }
}

/** Read again every 30 seconds, because this credential is rotated like any other. */
function fileCredentials(filepath: string, profile: string) {
  return async (): Promise<AwsCredentials> => {
    const key = accessKeyIn(Secret.of(await readFile(filepath, 'utf8').catch(() => '-')))
    const found = key
      ? { accessKeyId: key.id, secretAccessKey: key.secret.reveal() }
      : await fromIni({ filepath, profile, ignoreCache: true })()
    const again = new Date(Date.now() + CREDENTIALS_MS)
    return { ...found, expiration: ('expiration' in found && found.expiration) || again }
  }
}

/** For what is an answer and no failure. */
export function ignore(code: RekeyError['code']): (error: unknown) => undefined {
  return (error) => {
    if (RekeyError.is(error) && error.code === code) return undefined
    throw error
  }
}

function silent(): void {}
