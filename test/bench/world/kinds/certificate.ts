import { randomUUID } from 'node:crypto'
import { pkiCertificate } from '@rekey/backend-vault'
import { type AwsPlace, rootOf, rootTokenOf, vaultOf } from '../aws-place.ts'
import { type Kind, replacing } from './kind.ts'

const MOUNT = 'pki-workloads'
const DOMAIN = 'bench.internal.example'

export async function certificate(place: AwsPlace): Promise<Kind> {
  const { addr } = place.stack.vault
  const root = rootOf(place)
  const role = `bench-${randomUUID()}`
  const settings = {
    allowed_domains: DOMAIN,
    allow_bare_domains: true,
    allowed_uri_sans: 'rekey://*',
    key_type: 'ec',
    key_bits: 256,
    max_ttl: '24h',
  }
  const made = await fetch(`${addr}/v1/${MOUNT}/roles/${role}`, {
    method: 'POST',
    headers: { 'X-Vault-Token': rootTokenOf(place).reveal() },
    body: JSON.stringify(settings),
  })
  if (!made.ok) throw new Error(`bench-0007: Vault answered ${made.status} to a role`)
  const rotator = vaultOf(place, addr)
  const keyIds: Record<number, string> = {}
  const authority = pkiCertificate(
    rotator,
    {
      mount: MOUNT,
      role,
      commonName: DOMAIN,
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      ttl: '12h',
      mark: 'uri',
    },
    { credential: `bench-${randomUUID()}`, keyIds },
  )
  const isOnCrl = async (serial: string) => {
    const pem = await root.issuerCrl(MOUNT, 'default')
    const der = Buffer.from(pem.replace(/-----.*?-----/g, ''), 'base64')
    return der.includes(Buffer.from(serial.replaceAll(':', ''), 'hex'))
  }
  let old: string | undefined
  return {
    kind: 'vault-pki-certificate',
    ours: replacing(authority, keyIds),
    async bare() {
      const { serial } = await root.pkiIssue(
        role,
        { commonName: DOMAIN, ttlSeconds: 43_200 },
        { mount: MOUNT },
      )
      const seen = [await isOnCrl(serial)]
      if (old) {
        await root.certificateRevoke(MOUNT, old)
        seen.push(await isOnCrl(old))
      }
      if (seen.join() !== (old ? 'false,true' : 'false'))
        throw new Error(`bench-0006: the CRL showed ${seen.join()}`)
      old = serial
    },
    async close() {
      rotator.close()
      root.close()
    },
  }
}
