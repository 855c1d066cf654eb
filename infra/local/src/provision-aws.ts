import { readFile } from 'node:fs/promises'
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  IAMClient,
  ListAccessKeysCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam'
import { credentialsFile, parseCredentialsFile } from './aws.ts'
import { Complaint } from './complaint.ts'
import { type Identities, keep, kept } from './identities.ts'

type Aws = { endpoint: string; region: string; adminCredentialsFile: string }

export async function provisionAws(aws: Aws, identities: Identities): Promise<void> {
  const iam = await adminIam(aws)
  try {
    for (const service of ['rotator', 'prober', 'reader'] as const) {
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

/** With explicit keys: nothing that happens to lie in the user's own AWS folders may be used against this endpoint. */
async function adminIam(aws: Aws): Promise<IAMClient> {
  const key = parseCredentialsFile(await readFile(aws.adminCredentialsFile, 'utf8'))
  if (!key)
    throw new Complaint(`${aws.adminCredentialsFile} holds no access key: give a shared-credentials file.`)
  return new IAMClient({
    endpoint: aws.endpoint,
    region: aws.region,
    credentials: { accessKeyId: key.id, secretAccessKey: key.secret },
  })
}
