import type { Probe, Secret } from '@rekey/contracts'

const REFUSALS = new Set([401, 403])

/**
 * Presents a value the way a client does. Only a 2xx is a yes and only 401 or 403 is a no; a redirect, a missing
 * upstream or a time-out proves nothing about the key.
 */
export async function bearerTry(url: string, value: Secret, timeoutMs = 3_000): Promise<Probe> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${value.reveal()}` },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    await response.body?.cancel()
    if (response.ok) return 'accepted'
    return REFUSALS.has(response.status) ? 'refused' : 'unknown'
  } catch {
    return 'unknown'
  }
}
