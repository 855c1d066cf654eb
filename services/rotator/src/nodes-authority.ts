import { randomBytes } from 'node:crypto'
import {
  type Authority,
  bitsAtMost,
  type NodesAuthoritySpec,
  type Probe,
  type ProbeResult,
  RekeyError,
  Secret,
} from '@rekey/contracts'

/** 256 bits; the prefix lets secret scanners recognise a leaked one. */
const PREFIX = 'rk_'
const BYTES = 32
/** As many as a proof of possession needs. */
const BITS_LEAST = 128

/** The serving nodes verify the key themselves: we make it, and try it from outside as a client would. */
export function nodesAuthority(spec: NodesAuthoritySpec): Authority {
  return {
    kind: 'nodes',
    direction: 'inbound',
    slots: 2,
    valueFrom: 'us',
    adopt(value) {
      const refuse = (why: string) => new RekeyError('not_adoptable', `the value in use ${why}`)
      if (!/^[\x21-\x7e]*$/.test(value.reveal()))
        throw refuse(
          'has a space, a line break or a character outside ASCII, which no bearer token has: is there a line break at its end?',
        )
      if (bitsAtMost(value) < BITS_LEAST)
        throw refuse(
          `can be guessed: it has less than ${BITS_LEAST} bits, and what nodes prove it by is public. Leave firstValue out, so that Rekey makes one`,
        )
    },
    make: () => Secret.of(PREFIX + randomBytes(BYTES).toString('base64url')),
    probe: (value, call) =>
      Promise.all(
        spec.endpoints.map(
          async ({ name, url }): Promise<ProbeResult> => ({
            endpoint: name,
            ...(await tryAt(url, value, spec.refusals, call.signal)),
          }),
        ),
      ),
  }
}

/** Only a listed code is a refusal: a time-out, a 5xx or a redirect shows nothing. */
async function tryAt(
  url: string,
  value: Secret,
  refusals: number[],
  signal: AbortSignal,
): Promise<{ verdict: Probe; seen: string }> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${value.reveal()}` },
      redirect: 'manual',
      signal,
    })
    await response.body?.cancel()
    const seen = String(response.status)
    if (response.ok) return { verdict: 'accepted', seen }
    return { verdict: refusals.includes(response.status) ? 'refused' : 'unknown', seen }
  } catch {
    return { verdict: 'unknown', seen: signal.aborted ? 'timeout' : 'no connection' }
  }
}
