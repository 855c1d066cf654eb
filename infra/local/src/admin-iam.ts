import { readFile } from 'node:fs/promises'
import { IAMClient } from '@aws-sdk/client-iam'
import { parseCredentialsFile } from './aws.ts'
import { Complaint } from './complaint.ts'

export type Aws = { endpoint: string; region: string; adminCredentialsFile: string }

/** With explicit keys: nothing that happens to lie in the user's own AWS folders may be used against this endpoint. */
export async function adminIam(aws: Aws): Promise<IAMClient> {
  const key = parseCredentialsFile(await readFile(aws.adminCredentialsFile, 'utf8'))
  if (!key)
    throw new Complaint(`${aws.adminCredentialsFile} holds no access key: give a shared-credentials file.`)
  return new IAMClient({
    endpoint: aws.endpoint,
    region: aws.region,
    credentials: { accessKeyId: key.id, secretAccessKey: key.secret },
  })
}
