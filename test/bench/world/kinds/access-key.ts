import { randomUUID } from 'node:crypto'
import { CreateAccessKeyCommand, DeleteAccessKeyCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { connectIam, iamAccessKey } from '@rekey/backend-aws'
import { adminIam, makeIamUser } from '@rekey/local'
import type { AwsPlace } from '../aws-place.ts'
import { expectRefused, type Kind, replacing } from './kind.ts'

export async function accessKey(place: AwsPlace): Promise<Kind> {
  const { aws } = place.stack
  const rights = { actions: ['sts:*'], resource: '*' }
  const users = await Promise.all([1, 2].map(() => makeIamUser(aws, `bench-${randomUUID()}`, rights)))
  const [ours, theirs] = users.map(({ user }) => user) as [string, string]
  const connection = { endpoint: aws.endpoint, region: aws.region }
  const iam = connectIam({ ...connection, credentialsFile: place.rotator.credentialsFile })
  const keyIds: Record<number, string> = {}
  const authority = iamAccessKey(iam, { user: ours, keyIdOf: (generation) => keyIds[generation] })
  const bareIam = await adminIam(aws)
  const tryKey = async (key: { accessKeyId: string; secretAccessKey: string }) => {
    const sts = new STSClient({ ...connection, credentials: key, maxAttempts: 1 })
    await sts.send(new GetCallerIdentityCommand({})).finally(() => sts.destroy())
  }
  let old: { accessKeyId: string; secretAccessKey: string } | undefined
  return {
    kind: 'aws-iam-access-key',
    ours: replacing(authority, keyIds),
    async bare() {
      const { AccessKey } = await bareIam.send(new CreateAccessKeyCommand({ UserName: theirs }))
      const made = {
        accessKeyId: AccessKey?.AccessKeyId ?? '',
        secretAccessKey: AccessKey?.SecretAccessKey ?? '',
      }
      await tryKey(made)
      if (old) {
        const which = { UserName: theirs, AccessKeyId: old.accessKeyId }
        await bareIam.send(new UpdateAccessKeyCommand({ ...which, Status: 'Inactive' }))
        await bareIam.send(new DeleteAccessKeyCommand(which))
        await expectRefused(tryKey(old), 'InvalidClientTokenId')
      }
      old = made
    },
    async close() {
      bareIam.destroy()
      iam.close()
      for (const user of users) await user.drop()
    },
  }
}
