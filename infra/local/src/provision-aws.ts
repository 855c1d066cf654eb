import { readFile } from 'node:fs/promises'
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  type IAMClient,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam'
import { type Aws, adminIam } from './admin-iam.ts'
import { credentialsFile, parseCredentialsFile } from './aws.ts'
import { type Identities, IN_AWS, keep, kept } from './identities.ts'

export async function provisionAws(aws: Aws, identities: Identities): Promise<void> {
  const iam = await adminIam(aws)
  try {
    for (const service of IN_AWS) {
      const file = identities.of(service).awsCredentialsFile
      if (file) await provisionUser(iam, `rekey-${service}`, file)
    }
  } finally {
    iam.destroy()
  }
}

async function provisionUser(iam: IAMClient, name: string, file: string): Promise<void> {
  await iam.send(new CreateUserCommand({ UserName: name })).catch((error: Error) => {
    if (error.name !== 'EntityAlreadyExistsException' && error.name !== 'EntityAlreadyExists') throw error
  })
  const PolicyDocument = await readFile(new URL(`../../aws/${name}.json`, import.meta.url), 'utf8')
  await iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: name, PolicyDocument }))
  const { AccessKeyMetadata: keys = [] } = await iam.send(new ListAccessKeysCommand({ UserName: name }))
  const own = parseCredentialsFile((await kept(file)) ?? '')
  if (own && keys.some((key) => key.AccessKeyId === own.id && key.Status === 'Active')) return
  // Nobody holds the secrets of these any more, and a user may have only two keys.
  for (const { AccessKeyId } of keys) {
    await iam.send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId }))
  }
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: name }))
  if (!AccessKey?.AccessKeyId || !AccessKey.SecretAccessKey)
    throw new Error('IAM made a key without saying which')
  await keep(file, credentialsFile({ id: AccessKey.AccessKeyId, secret: AccessKey.SecretAccessKey }))
}
