import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager'
import { RekeyError, Secret } from '@rekey/contracts'
import { type AwsConnection, type Bound, boundBy, clientOptions, ignore, quotaOf } from './connection.ts'

/** Version id → staging labels. AWS leaves out versions without a label. */
export type Labels = ReadonlyMap<string, readonly string[]>

/** `binary`: it has no text. */
export type SecretVersion = { versionId: string; labels: readonly string[]; text: Secret; binary?: true }

/** `createdAt` is AWS's clock, milliseconds since the epoch; 0: not known. */
export type VersionMark = { versionId: string; labels: readonly string[]; createdAt: number }

/** How far a region has come with the replica of a secret, in AWS's words: InSync, InProgress, Failed. */
type Replication = ReadonlyMap<string, string>

/**
 * The calls of Secrets Manager that the store needs. Throws RekeyError only. One request each: repeats are the
 * ledger's to decide, so the SDK's own are off.
 */
export type SecretsManager = {
  create(
    secretId: string,
    token: string,
    text: Secret,
    bound?: Bound,
    replicas?: readonly string[],
  ): Promise<void>
  /** Undefined: there is no such secret. */
  labels(secretId: string, bound?: Bound): Promise<Labels | undefined>
  /**
   * With those that have no label. Undefined: there is no such secret. Where we have no right to list them: those that
   * have a label, without their times.
   */
  versions(secretId: string, bound?: Bound): Promise<readonly VersionMark[] | undefined>
  /** By region. Undefined: there is no such secret. */
  replication(secretId: string, bound?: Bound): Promise<Replication | undefined>
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

export function connectSecretsManager(connection: AwsConnection): SecretsManager {
  const client = new SecretsManagerClient(clientOptions(connection))
  const within = boundBy(connection)
  const quota = {
    write: quotaOf(connection, 'write'),
    list: quotaOf(connection, 'list'),
    read: quotaOf(connection, 'read'),
  }
  /** Policies of the release before did not give the right to. */
  let mayList = true

  async function describe(SecretId: string, bound: Bound) {
    const what = `describe the secret ${SecretId}`
    const command = new DescribeSecretCommand({ SecretId })
    const described = await within(
      what,
      bound,
      (abortSignal) => client.send(command, { abortSignal }),
      quota.read,
    ).catch(ignore('not_found'))
    if (!described) return undefined
    if (described.DeletedDate) {
      throw new RekeyError(
        'not_found',
        `${what}: it is scheduled for deletion; restore it or use another name`,
      )
    }
    if (!described.ARN) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
    return described
  }

  async function labelsOf(secretId: string, bound: Bound): Promise<Labels | undefined> {
    const described = await describe(secretId, bound)
    return described && new Map(Object.entries(described.VersionIdsToStages ?? {}))
  }

  async function list(SecretId: string, bound: Bound): Promise<VersionMark[] | undefined> {
    const what = `list the versions of the secret ${SecretId}`
    const marks: VersionMark[] = []
    let NextToken: string | undefined
    do {
      const command = new ListSecretVersionIdsCommand({
        SecretId,
        IncludeDeprecated: true,
        MaxResults: 100,
        ...(NextToken !== undefined && { NextToken }),
      })
      const page = await within(
        what,
        bound,
        (abortSignal) => client.send(command, { abortSignal }),
        quota.list,
      ).catch(ignore('not_found'))
      if (!page) return undefined
      if (!page.ARN) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      for (const { VersionId, VersionStages, CreatedDate } of page.Versions ?? [])
        if (VersionId)
          marks.push({
            versionId: VersionId,
            labels: VersionStages ?? [],
            createdAt: CreatedDate?.getTime() ?? 0,
          })
      NextToken = page.NextToken
    } while (NextToken)
    return marks
  }

  return {
    async create(SecretId, token, text, bound = {}, replicas = []) {
      const what = `create the secret ${SecretId}`
      const command = new CreateSecretCommand({
        Name: SecretId,
        ClientRequestToken: token,
        SecretString: text.reveal(),
        Description: 'Rotated by Rekey',
        Tags: [{ Key: 'rekey', Value: 'managed' }],
        ...(replicas.length > 0 && { AddReplicaRegions: replicas.map((Region) => ({ Region })) }),
      })
      await within(what, bound, (abortSignal) => client.send(command, { abortSignal }), quota.write).catch(
        ignore('already_exists'),
      )
    },

    labels: (secretId, bound = {}) => labelsOf(secretId, bound),

    async versions(secretId, bound = {}) {
      let isDenied = false
      if (mayList) {
        try {
          return await list(secretId, bound)
        } catch (error) {
          if (!RekeyError.is(error)) throw error
          // The second may be said of a secret that is being deleted, which `describe` says better.
          if (!['permission_denied', 'invalid_configuration'].includes(error.code)) throw error
          isDenied = error.code === 'permission_denied'
        }
      }
      const labels = await labelsOf(secretId, bound)
      // Who may describe it lacks that right alone.
      if (isDenied) mayList = false
      return labels && [...labels].map(([versionId, held]) => ({ versionId, labels: held, createdAt: 0 }))
    },

    async replication(secretId, bound = {}) {
      const described = await describe(secretId, bound)
      return (
        described && new Map(described.ReplicationStatus?.map((at) => [at.Region ?? '', at.Status ?? '']))
      )
    },

    async get(SecretId, at, bound = {}) {
      const what = `read the secret ${SecretId}`
      const which = 'label' in at ? { VersionStage: at.label } : { VersionId: at.versionId }
      const command = new GetSecretValueCommand({ SecretId, ...which })
      const found = await within(
        what,
        bound,
        (abortSignal) => client.send(command, { abortSignal }),
        quota.read,
      ).catch(ignore('not_found'))
      if (!found) return undefined
      if (!found.VersionId) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      // A binary value is not ours; an empty text is read as a foreign one.
      const text = Secret.of(found.SecretString ?? '')
      const version = { versionId: found.VersionId, labels: found.VersionStages ?? [], text }
      return found.SecretBinary === undefined ? version : { ...version, binary: true }
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
        const made = await within(
          what,
          bound,
          (abortSignal) => client.send(command, { abortSignal }),
          quota.write,
        )
        // Also an answer without labels: who needs to know more reads the version.
        const has = (label: string) => made.VersionStages?.includes(label)
        if (made.VersionId === token) return labels.every(has) ? 'done' : 'repeated'
      } catch (error) {
        if (RekeyError.is(error) && error.code === 'already_exists') return 'taken'
        if (RekeyError.is(error) && error.code === 'not_found') return 'absent'
        if (RekeyError.is(error) && error.code === 'invalid_configuration') {
          // AWS says the same of a secret that is being deleted, which `describe` says better, and of a replica.
          const primary = (await describe(SecretId, bound))?.PrimaryRegion
          if (primary && primary !== connection.region)
            throw new RekeyError(
              'invalid_configuration',
              `${what}: in ${connection.region} it is a replica; give the region of its primary, ${primary}`,
            )
        }
        if (RekeyError.is(error) && error.code === 'quota_exhausted')
          throw new RekeyError(
            'quota_exhausted',
            `${error.message}: a secret has 100 versions and 20 labels at most, and AWS removes no version that has a label or is younger than a day`,
          )
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
        const moved = await within(
          what,
          bound,
          (abortSignal) => client.send(command, { abortSignal }),
          quota.write,
        )
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
