import { rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { VaultClient } from '@rekey/backend-vault'
import type { TlsMaterial } from './channel.ts'
import type { Log } from './log.ts'

const SERVER_ROLE = 'rekey-server'

export type ServerCertificate = { tls: TlsMaterial; expiresAt: number }

/** A server certificate from Vault's PKI. Its key is made by Vault, stays in memory and ends with the process. */
export async function issueServerCertificate(
  vault: VaultClient,
  options: { names: string[]; host: string },
): Promise<ServerCertificate> {
  const bound = { signal: AbortSignal.timeout(20_000) }
  const [commonName, ...altNames] = options.names
  const addresses = ['127.0.0.1', options.host].filter(
    (host) => isIP(host) !== 0 && !/^(0\.0\.0\.0|::)$/.test(host),
  )
  const issued = await vault.pkiIssue(
    SERVER_ROLE,
    { ...(commonName && { commonName }), altNames, ipSans: [...new Set(addresses)] },
    bound,
  )
  const ca = await vault.caChain(bound)
  const chain = [issued.certificate, ...issued.caChain].map((pem) => `${pem.trim()}\n`).join('')
  return { tls: { key: issued.privateKey.reveal(), cert: chain, ca }, expiresAt: issued.expiresAt }
}

/** Written by rename, because agents may read it at any moment. It is public. */
export async function publishAuthority(file: string, ca: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, ca, { mode: 0o644 })
  await rename(temporary, file)
}

/** Renews after two thirds of the lifetime, and tries again each minute if that fails. */
export function keepRenewed(
  first: ServerCertificate,
  options: { issue: () => Promise<ServerCertificate>; apply: (next: ServerCertificate) => void; log: Log },
): { stop(): void } {
  let timer: NodeJS.Timeout
  const plan = (expiresAt: number) => {
    // setTimeout cannot wait longer than 24.8 days.
    const delay = Math.min(Math.max(((expiresAt - Date.now()) * 2) / 3, 60_000), 24 * 86_400_000)
    timer = setTimeout(() => void renew(expiresAt), delay)
    timer.unref()
  }
  const renew = async (expiresAt: number) => {
    try {
      const next = await options.issue()
      options.apply(next)
      options.log.info(
        { expiresAt: new Date(next.expiresAt).toISOString() },
        'the server certificate was renewed',
      )
      plan(next.expiresAt)
    } catch (error) {
      options.log.error({ error }, 'the server certificate could not be renewed, trying again')
      timer = setTimeout(() => void renew(expiresAt), 60_000)
      timer.unref()
    }
  }
  plan(first.expiresAt)
  return { stop: () => clearTimeout(timer) }
}
