import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { type AcceptedValue, bundleParts, type Probe, type Secret, type Usage } from '@rekey/contracts'

type TlsServer = {
  /** Host and port. */
  address: string
  /** The name in its certificate. */
  serverName: string
  /** PEM of its authority, where the system does not know it. */
  caFile?: string | undefined
}

/** How long the software may take up what it was given before that is said to be unclear. */
const TAKE_UP_MS = 1_000
const LOOK_AGAIN_MS = 100

/**
 * Which certificate the software shows to who connects: the evidence that it has taken up a new one, and that it does not use
 * the old one any more.
 */
export class ShownCertificate {
  readonly #server: TlsServer
  readonly #startedAt = performance.now()
  readonly #generations = new Map<string, number>()
  readonly #seenAt = new Map<number, number>()
  #latest: string | undefined

  constructor(server: TlsServer) {
    this.#server = server
  }

  /** What the software was given. */
  given(accept: readonly AcceptedValue[]): void {
    this.#latest = undefined
    for (const { generation, value } of accept.toSorted((a, b) => a.generation - b.generation)) {
      this.#latest = fingerprintOf(value)
      this.#generations.set(this.#latest, generation)
    }
  }

  /**
   * What was given may not be taken up yet, which is no refusal: it is waited for a little. What was taken away is refused
   * once another one is shown.
   */
  async try(value: Secret): Promise<Probe> {
    let tried: string
    try {
      tried = fingerprintOf(value)
    } catch {
      return 'unknown'
    }
    const until = performance.now() + TAKE_UP_MS
    for (;;) {
      const shown = await this.#look().catch(() => undefined)
      if (shown === tried) return 'accepted'
      if (tried !== this.#latest) return shown === undefined ? 'unknown' : 'refused'
      if (performance.now() >= until) return 'unknown'
      await delay(LOOK_AGAIN_MS)
    }
  }

  /** By what it shows now. Nothing can be said while it shows what it was not given, or does not answer. */
  async usage(): Promise<Usage[] | undefined> {
    const shown = this.#generations.get(await this.#look())
    if (shown === undefined) return undefined
    const now = performance.now()
    this.#seenAt.set(shown, now)
    return [...this.#seenAt].map(([generation, at]) => ({
      generation,
      inFlight: 0,
      lastUseAgeMs: now - at,
      requests: 0,
    }))
  }

  countingAgeMs(): number {
    return performance.now() - this.#startedAt
  }

  /** Only what verifies counts: else anybody at the address could say it. */
  async #look(timeoutMs = 3_000): Promise<string> {
    const { address, serverName, caFile } = this.#server
    const [host, port] = splitAddress(address)
    const ca = caFile === undefined ? undefined : await readFile(caFile)
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, servername: serverName, ...(ca && { ca }) })
      socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('closed')))
      socket.on('secureConnect', () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
        socket.destroy()
      })
    })
  }
}

function splitAddress(address: string): [host: string, port: number] {
  const at = address.lastIndexOf(':')
  return [address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), Number(address.slice(at + 1))]
}

function fingerprintOf(value: Secret): string {
  return new X509Certificate(bundleParts(value).certificate).fingerprint256
}
