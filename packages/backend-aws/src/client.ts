import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { fromIni } from '@aws-sdk/credential-provider-ini'
import { RekeyError, Secret } from '@rekey/contracts'
import { rebuilt } from './failure.ts'

/** Bounds one call. A `Call` of the contracts fits. */
export type Bound = { signal?: AbortSignal }

export type AwsConnection = {
  region: string
  /** A shared-credentials file; without it the SDK's own chain (environment, profile, container, instance). */
  credentialsFile?: string
  profile?: string
  /** Only for an emulator or a private endpoint; else AWS_ENDPOINT_URL, else AWS. */
  endpoint?: string
  /** The longest time for one request, also where the caller's signal allows more. */
  timeoutMs?: number
}

/** Version id → staging labels. AWS leaves out versions without a label. */
export type Labels = ReadonlyMap<string, readonly string[]>

export type SecretVersion = { versionId: string; labels: readonly string[]; text: Secret }

/**
 * The five calls of Secrets Manager that the store needs. Throws RekeyError only. One request each: repeats are the
 * ledger's to decide, so the SDK's own are off.
 */
export type SecretsManager = {
  create(secretId: string, token: string, text: Secret, bound?: Bound): Promise<void>
  /** Undefined: there is no such secret. */
  labels(secretId: string, bound?: Bound): Promise<Labels | undefined>
  /** Undefined: no such secret, version or label. Always by version or label, never by default. */
  get(
    secretId: string,
    at: { versionId: string } | { label: string },
    bound?: Bound,
  ): Promise<SecretVersion | undefined>
  /**
   * `repeated`: the version was there with this value, and keeps the labels it has. `taken`: it was there with another
   * value. `absent`: there is no such secret.
   */
  put(
    secretId: string,
    version: { token: string; text: Secret; labels: string[] },
    bound?: Bound,
  ): Promise<'done' | 'repeated' | 'taken' | 'absent'>
  /** `refused`: the label is not where `from` says, or a version is not there. */
  moveLabel(
    secretId: string,
    move: { label: string; from?: string; to?: string },
    bound?: Bound,
  ): Promise<'done' | 'refused'>
  close(): void
}

const TIMEOUT_MS = 10_000
/** The SDK asks again for credentials that end in less than 5 minutes; so a file is read again every 30 seconds. */
const CREDENTIALS_MS = 5 * 60_000 + 30_000

export function connectSecretsManager(connection: AwsConnection): SecretsManager {
  const client = new SecretsManagerClient({
    region: connection.region,
    maxAttempts: 1,
    // The SDK's own loggers print inputs at debug level, values included.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    ...(connection.endpoint !== undefined && { endpoint: connection.endpoint }),
    ...(connection.credentialsFile !== undefined && {
      credentials: fileCredentials(connection.credentialsFile, connection.profile ?? 'default'),
    }),
  })

  /** Only an abort bounds an SDK call: its request timeout warns, and a dripping body outlives it. */
  async function within<T>(
    what: string,
    bound: Bound,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(connection.timeoutMs ?? TIMEOUT_MS)
    const signal = bound.signal ? AbortSignal.any([bound.signal, deadline]) : deadline
    const late = new RekeyError('backend_timeout', `${what}: AWS did not answer before the deadline`)
    if (signal.aborted) throw late
    let cut: (() => void) | undefined
    const cutOff = new Promise<never>((_, reject) => {
      cut = () => reject(late)
      signal.addEventListener('abort', cut, { once: true })
    })
    try {
      return await Promise.race([work(signal), cutOff])
    } catch (error) {
      if (signal.aborted) throw late
      throw rebuilt(error, what)
    } finally {
      if (cut) signal.removeEventListener('abort', cut)
    }
  }

  return {
    async create(SecretId, token, text, bound = {}) {
      const what = `create the secret ${SecretId}`
      const command = new CreateSecretCommand({
        Name: SecretId,
        ClientRequestToken: token,
        SecretString: text.reveal(),
        Description: 'Rotated by Rekey',
        Tags: [{ Key: 'rekey', Value: 'managed' }],
      })
      await within(what, bound, (abortSignal) => client.send(command, { abortSignal })).catch(
        ignore('already_exists'),
      )
    },

    async labels(SecretId, bound = {}) {
      const what = `describe the secret ${SecretId}`
      const command = new DescribeSecretCommand({ SecretId })
      const described = await within(what, bound, (abortSignal) =>
        client.send(command, { abortSignal }),
      ).catch(ignore('not_found'))
      if (!described) return undefined
      if (described.DeletedDate) {
        throw new RekeyError(
          'not_found',
          `${what}: it is scheduled for deletion; restore it or use another name`,
        )
      }
      if (!described.ARN) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      return new Map(Object.entries(described.VersionIdsToStages ?? {}))
    },

    async get(SecretId, at, bound = {}) {
      const what = `read the secret ${SecretId}`
      const which = 'label' in at ? { VersionStage: at.label } : { VersionId: at.versionId }
      const command = new GetSecretValueCommand({ SecretId, ...which })
      const found = await within(what, bound, (abortSignal) => client.send(command, { abortSignal })).catch(
        ignore('not_found'),
      )
      if (!found) return undefined
      if (!found.VersionId) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      // A binary value is not ours; an empty text is read as a foreign one.
      const text = Secret.of(found.SecretString ?? '')
      return { versionId: found.VersionId, labels: found.VersionStages ?? [], text }
    },

    async put(SecretId, { token, text, labels }, bound = {}) {
      const what = `put a version of the secret ${SecretId}`
      const command = new PutSecretValueCommand({
        SecretId,
        ClientRequestToken: token,
        SecretString: text.reveal(),
        VersionStages: labels,
      })
      try {
        const made = await within(what, bound, (abortSignal) => client.send(command, { abortSignal }))
        // Also an answer without labels: who needs to know more reads the version.
        const has = (label: string) => made.VersionStages?.includes(label)
        if (made.VersionId === token) return labels.every(has) ? 'done' : 'repeated'
      } catch (error) {
        if (RekeyError.is(error) && error.code === 'already_exists') return 'taken'
        if (RekeyError.is(error) && error.code === 'not_found') return 'absent'
        throw error
      }
      throw new RekeyError('bad_response', `${what}: AWS sent another version id than was asked for`)
    },

    async moveLabel(SecretId, { label, from, to }, bound = {}) {
      const what = `move ${label} of the secret ${SecretId}`
      const command = new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage: label,
        ...(from !== undefined && { RemoveFromVersionId: from }),
        ...(to !== undefined && { MoveToVersionId: to }),
      })
      try {
        const moved = await within(what, bound, (abortSignal) => client.send(command, { abortSignal }))
        if (moved.ARN) return 'done'
      } catch (error) {
        const refused = RekeyError.is(error) && ['invalid_configuration', 'not_found'].includes(error.code)
        if (refused) return 'refused'
        throw error
      }
      throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
    },

    close: () => client.destroy(),
  }
}

/** Read again every 30 seconds, because this credential is rotated like any other. */
function fileCredentials(filepath: string, profile: string) {
  return async () => {
    const read = fromIni({ filepath, profile, ignoreCache: true })
    const found = await read()
    return { ...found, expiration: found.expiration ?? new Date(Date.now() + CREDENTIALS_MS) }
  }
}

function ignore(code: RekeyError['code']): (error: unknown) => undefined {
  return (error) => {
    if (RekeyError.is(error) && error.code === code) return undefined
    throw error
  }
}

function silent(): void {}
