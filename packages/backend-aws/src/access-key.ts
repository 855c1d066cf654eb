import { Secret } from '@rekey/contracts'

export type AccessKey = { id: string; secret: Secret }

/**
 * As `credential_process` of the AWS SDKs has it (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html),
 * but for an end: examples/report-bucket/credential-process.sh adds it, so that a client asks again.
 */
export function processCredentials({ id, secret }: AccessKey): Secret {
  return Secret.of(JSON.stringify({ Version: 1, AccessKeyId: id, SecretAccessKey: secret.reveal() }))
}

export function accessKeyIn(value: Secret): AccessKey | undefined {
  try {
    const { AccessKeyId: id, SecretAccessKey: secret } = JSON.parse(value.reveal())
    return typeof id === 'string' && typeof secret === 'string'
      ? { id, secret: Secret.of(secret) }
      : undefined
  } catch {
    return undefined
  }
}
