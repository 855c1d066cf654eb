import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { RekeyError } from '@rekey/contracts'
import type { AwsCredentials, ClientOptions, Within } from './connection.ts'

/** A role of this or another account. `externalId`: what its trust policy asks for. */
export type Role = { arn: string; externalId?: string }

/** CloudTrail of the other account says by this who it was. */
const SESSION_NAME = 'rekey'
/** The SDK asks for credentials that end in less than five minutes before each call: so often STS need not be asked. */
const AGAIN_MS = 30_000
/** What is left of a session must outlast a call. */
const LEFT_MS = 60_000
const RENEW_MS = 5 * 60_000

/** Credentials of a session as that role, opened with `own` credentials, which may change under it. */
export function assumedRole(own: ClientOptions, role: Role, within: Within): () => Promise<AwsCredentials> {
  const sts = new STSClient(own)
  const { arn: RoleArn, externalId: ExternalId } = role
  return renewed(async () => {
    const what = `assume the role ${RoleArn}`
    const command = new AssumeRoleCommand({
      RoleArn,
      RoleSessionName: SESSION_NAME,
      ...(ExternalId !== undefined && { ExternalId }),
    })
    const { Credentials: made } = await within(what, {}, (abortSignal) =>
      sts.send(command, { abortSignal }),
    ).catch((error: unknown) => {
      throw explained(error, what, ExternalId !== undefined)
    })
    if (!made?.AccessKeyId || !made.SecretAccessKey || !made.SessionToken || !made.Expiration)
      throw new RekeyError('bad_response', `${what}: AWS sent no session`)
    return {
      accessKeyId: made.AccessKeyId,
      secretAccessKey: made.SecretAccessKey,
      sessionToken: made.SessionToken,
      expiration: made.Expiration,
    }
  })
}

/** AWS does not say which of the two policies refuses, and says the same of a role that does not exist. */
function explained(error: unknown, what: string, hasExternalId: boolean): unknown {
  if (!RekeyError.is(error) || !error.message.includes('AccessDenied')) return error
  const asked = hasExternalId ? ' with this external id' : ''
  return new RekeyError(
    'permission_denied',
    `${error.message}; ${what.replace('assume ', '')} must exist, its trust policy must name Rekey's identity${asked}, ` +
      "and Rekey's identity needs sts:AssumeRole on it",
  )
}

/**
 * Opens the next session five minutes before the end of the one before. Where that fails the old one serves on while it
 * lasts: STS away for some minutes is nothing to fail for.
 */
export function renewed(
  open: () => Promise<AwsCredentials & { expiration: Date }>,
  now: () => number = Date.now,
): () => Promise<AwsCredentials> {
  let held: (AwsCredentials & { expiration: Date }) | undefined
  let againAt = Number.NEGATIVE_INFINITY
  const leftMs = () => (held ? held.expiration.getTime() - now() : 0)
  return async () => {
    if (held && (leftMs() > RENEW_MS || (leftMs() > LEFT_MS && now() < againAt))) return held
    try {
      held = await open()
    } catch (error) {
      if (!held || leftMs() <= LEFT_MS) throw error
      againAt = now() + AGAIN_MS
    }
    return held
  }
}
