import type { Probe, Secret } from '@rekey/contracts'

/** A real login with the value, where it says itself. Only a clear answer of the server is a yes or a no. */
export async function postgresTry(value: Secret, timeoutMs = 3_000): Promise<Probe> {
  // Loaded where it is used: most nodes have no business with a database.
  const { tryValue } = await import('@rekey/backend-postgres')
  return (await tryValue(value, AbortSignal.timeout(timeoutMs))).verdict
}
