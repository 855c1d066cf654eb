import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam'
import { type Aws, adminIam } from './admin-iam.ts'
import { credentialsFile } from './aws.ts'

export type IamUser = {
  user: string
  /** The ids of its access keys, oldest first, with what IAM says of each. */
  keys(): Promise<{ id: string; status: string }[]>
  /** A new key, as a shared-credentials file. */
  newKey(): Promise<string>
  drop(): Promise<void>
}

const POLICY = 'own'

/** Makes a user of the path `/rekey/`, whose keys the rotator may rotate, with these rights. It has no key yet. */
export async function makeIamUser(
  aws: Aws,
  user: string,
  rights: { actions: string[]; resource: string },
): Promise<IamUser> {
  const iam = await adminIam(aws)
  const UserName = user
  const keys = async () => {
    const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }))
    return AccessKeyMetadata.map((key) => ({ id: key.AccessKeyId ?? '', status: String(key.Status) }))
  }
  const PolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: rights.actions, Resource: rights.resource }],
  })
  await iam.send(new CreateUserCommand({ UserName, Path: '/rekey/' }))
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: POLICY, PolicyDocument }))
  return {
    user,
    keys,
    async newKey() {
      const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName }))
      return credentialsFile({ id: key?.AccessKeyId ?? '', secret: key?.SecretAccessKey ?? '' })
    },
    async drop() {
      for (const { id: AccessKeyId } of await keys())
        await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }))
      await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: POLICY }))
      await iam.send(new DeleteUserCommand({ UserName }))
      iam.destroy()
    },
  }
}
