import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  IAMClient,
  ListAccessKeysCommand,
  UpdateAccessKeyCommand,
} from '@aws-sdk/client-iam'
import { type Probe, RekeyError, Secret } from '@rekey/contracts'
import type { AccessKey } from './access-key.ts'
import { type AwsConnection, type Bound, boundBy, clientOptions, ignore, quotaOf } from './connection.ts'
import { tryAccessKey, tryAccessKeyValue } from './try-access-key.ts'

/** `createdAt` is AWS's clock, milliseconds since the epoch. */
export type ListedKey = { id: string; status: 'Active' | 'Inactive'; createdAt: number }

/**
 * The calls of IAM and STS that an access key needs. Throws RekeyError only, and none of them holds a secret. One
 * request each: repeats are the ledger's to decide.
 */
export type Iam = {
  list(user: string, bound?: Bound): Promise<ListedKey[]>
  create(user: string, bound?: Bound): Promise<AccessKey>
  /** `absent`: there is no such key. */
  setStatus(user: string, id: string, status: ListedKey['status'], bound?: Bound): Promise<'done' | 'absent'>
  /** Succeeds if it is gone already. */
  remove(user: string, id: string, bound?: Bound): Promise<void>
  /** Milliseconds since the epoch; null: AWS has seen no use. It lags by hours. */
  lastUsed(id: string, bound?: Bound): Promise<number | null>
  /** Throws where nothing is shown. */
  tryKey(key: AccessKey, bound?: Bound): Promise<'accepted' | 'refused'>
  /** The same for a value: a verdict in every case. */
  tryValue(value: Secret, bound?: Bound): Promise<{ verdict: Probe; seen: string }>
  close(): void
}

export function connectIam(connection: AwsConnection): Iam {
  const client = new IAMClient(clientOptions(connection))
  const bounded = boundBy(connection)
  const quota = quotaOf(connection, 'iam')
  const within = <T>(what: string, bound: Bound, work: (signal: AbortSignal) => Promise<T>) =>
    bounded(what, bound, work, quota)
  return {
    async list(UserName, bound = {}) {
      const what = `list the access keys of ${UserName}`
      const listed = await within(what, bound, (abortSignal) =>
        client.send(new ListAccessKeysCommand({ UserName }), { abortSignal }),
      )
      if (!listed.AccessKeyMetadata) throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      return listed.AccessKeyMetadata.map(({ AccessKeyId, Status, CreateDate }) => {
        if (!AccessKeyId || (Status !== 'Active' && Status !== 'Inactive'))
          throw new RekeyError('bad_response', `${what}: AWS left out which, or whether it is active`)
        return { id: AccessKeyId, status: Status, createdAt: CreateDate?.getTime() ?? 0 }
      })
    },

    async create(UserName, bound = {}) {
      const what = `create an access key of ${UserName}`
      const { AccessKey } = await within(what, bound, (abortSignal) =>
        client.send(new CreateAccessKeyCommand({ UserName }), { abortSignal }),
      )
      if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey)
        throw new RekeyError('bad_response', `${what}: AWS sent an empty answer`)
      return { id: AccessKey.AccessKeyId, secret: Secret.of(AccessKey.SecretAccessKey) }
    },

    async setStatus(UserName, AccessKeyId, Status, bound = {}) {
      const command = new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status })
      const what = `set the access key ${AccessKeyId} to ${Status}`
      const done = await within(what, bound, (abortSignal) => client.send(command, { abortSignal })).catch(
        ignore('not_found'),
      )
      return done ? 'done' : 'absent'
    },

    async remove(UserName, AccessKeyId, bound = {}) {
      const command = new DeleteAccessKeyCommand({ UserName, AccessKeyId })
      await within(`delete the access key ${AccessKeyId}`, bound, (abortSignal) =>
        client.send(command, { abortSignal }),
      ).catch(ignore('not_found'))
    },

    async lastUsed(AccessKeyId, bound = {}) {
      const command = new GetAccessKeyLastUsedCommand({ AccessKeyId })
      const { AccessKeyLastUsed } = await within(
        `ask when ${AccessKeyId} was last used`,
        bound,
        (abortSignal) => client.send(command, { abortSignal }),
      )
      return AccessKeyLastUsed?.LastUsedDate?.getTime() ?? null
    },

    tryKey: (key, bound = {}) => tryAccessKey(key, connection, bound),
    tryValue: (value, bound = {}) => tryAccessKeyValue(value, connection, bound),
    close: () => client.destroy(),
  }
}
