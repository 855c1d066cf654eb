import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { RekeyError } from '@rekey/contracts'
import type { Log } from './log.ts'

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
/** SPIRE announces an authority hours before it signs with it. */
const LOOK_MS = 10_000

/** The authorities of one trust domain. Whoever has the key of one of them can be any node. */
export async function readSvidBundle(file: string): Promise<string> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw fault(file, (error as NodeJS.ErrnoException).code ?? 'cannot be read')
  }
  const found = text.match(PEM) ?? []
  // Half a file, as somebody writes it just now.
  if (found.length !== text.split('-----BEGIN').length - 1)
    throw fault(file, 'it holds more than certificates')
  if (found.length === 0) throw fault(file, 'it holds no certificate')
  for (const pem of found) {
    let isAuthority: boolean
    try {
      isAuthority = new X509Certificate(pem).ca
    } catch {
      throw fault(file, 'a certificate in it cannot be read')
    }
    if (!isAuthority) throw fault(file, 'a certificate in it is no CA')
  }
  return found.map((pem) => `${pem}\n`).join('')
}

const fault = (file: string, why: string) =>
  new RekeyError(
    'invalid_configuration',
    `the bundle of FLEET_SVID_BUNDLE_FILE, ${file}, cannot be used: ${why}`,
  )

/** Follows the file: SPIRE replaces its authorities. What cannot be used is said once, and the one before stays. */
export function followSvidBundle(
  file: string,
  options: { first: string; apply: (bundle: string) => void; log: Log; lookMs?: number },
): { stop(): void } {
  const { apply, log } = options
  let taken = options.first
  let said: string | undefined
  let busy = false
  const look = async () => {
    try {
      const bundle = await readSvidBundle(file)
      said = undefined
      if (bundle === taken) return
      apply(bundle)
      taken = bundle
      log.info(
        { authorities: bundle.match(PEM)?.length },
        'nodes may enrol with certificates of other authorities',
      )
    } catch (error) {
      const why = (error as Error).message
      if (why !== said) log.error({ error }, 'the SVID bundle cannot be read again, the one before stays')
      said = why
    }
  }
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    void look().finally(() => {
      busy = false
    })
  }, options.lookMs ?? LOOK_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
