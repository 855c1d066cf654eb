import type { Probe, Secret } from '@rekey/contracts'

/** Asks AWS who it is (`sts:GetCallerIdentity`), in the region of the agent's environment. */
export async function awsTry(value: Secret, timeoutMs = 3_000): Promise<Probe> {
  // Loaded where it is used: most nodes have no business with a cloud.
  const { tryAccessKeyValue } = await import('@rekey/backend-aws')
  const region = process.env.AWS_REGION ?? 'us-east-1'
  return (await tryAccessKeyValue(value, { region }, { signal: AbortSignal.timeout(timeoutMs) })).verdict
}
