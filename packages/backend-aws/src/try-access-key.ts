import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { type Probe, RekeyError, type Secret } from '@rekey/contracts'
import { type AccessKey, accessKeyIn } from './access-key.ts'
import { type AwsConnection, type Bound, boundBy, clientOptions } from './connection.ts'

/** Tries a key for real: sts:GetCallerIdentity needs no permission. Throws RekeyError where nothing is shown. */
export async function tryAccessKey(
  { id, secret }: AccessKey,
  { credentialsFile: _own, ...place }: AwsConnection,
  bound: Bound,
): Promise<'accepted' | 'refused'> {
  const credentials = { accessKeyId: id, secretAccessKey: secret.reveal() }
  const sts = new STSClient({ ...clientOptions(place), credentials })
  let refused = false
  try {
    await boundBy(place)(`try the access key ${id}`, bound, async (abortSignal) => {
      try {
        await sts.send(new GetCallerIdentityCommand({}), { abortSignal })
      } catch (error) {
        // AWS says this of a key that is deleted or inactive. A wrong signature, a denial or a 5xx shows nothing.
        if (!(error instanceof Error) || error.name !== 'InvalidClientTokenId') throw error
        refused = true
      }
    })
  } finally {
    sts.destroy()
  }
  return refused ? 'refused' : 'accepted'
}

/** The same for a value. Whatever it sees is a verdict: it throws nothing. */
export async function tryAccessKeyValue(
  value: Secret,
  place: AwsConnection,
  bound: Bound,
): Promise<{ verdict: Probe; seen: string }> {
  const key = accessKeyIn(value)
  if (!key) return { verdict: 'unknown', seen: 'not an access key' }
  try {
    const verdict = await tryAccessKey(key, place, bound)
    return { verdict, seen: verdict === 'refused' ? 'InvalidClientTokenId' : 'GetCallerIdentity' }
  } catch (error) {
    return { verdict: 'unknown', seen: RekeyError.is(error) ? error.code : 'failed' }
  }
}
