import { readFile } from 'node:fs/promises'
import { type Identities, keep, kept, SERVICES } from './identities.ts'
import { askVault, VaultRefusal } from './vault-api.ts'

type Vault = { addr: string; rootTokenFile: string }
type Ask = (method: 'GET' | 'POST', path: string, body?: unknown) => ReturnType<typeof askVault>

export async function provisionVault(vault: Vault, identities: Identities): Promise<void> {
  const token = (await readFile(vault.rootTokenFile, 'utf8')).trim()
  const ask: Ask = (method, path, body) => askVault(vault.addr, token, method, path, body)
  const mounts = Object.keys((await ask('GET', 'sys/mounts')).data)
  const mount = async (path: string, body: unknown) => {
    if (!mounts.includes(`${path}/`)) await ask('POST', `sys/mounts/${path}`, body)
  }
  await mount('secret', { type: 'kv', options: { version: '2' } })
  await mount('transit', { type: 'transit' })
  await mount('database', { type: 'database' })
  await mount('pki', { type: 'pki', config: { max_lease_ttl: '87600h' } })
  const logins = Object.keys((await ask('GET', 'sys/auth')).data)
  if (!logins.includes('approle/')) await ask('POST', 'sys/auth/approle', { type: 'approle' })
  // Five logins of somebody with an ended secret id must not keep Rekey itself out.
  await ask('POST', 'sys/auth/approle/tune', { user_lockout_config: { lockout_disable: true } })
  // Roles of applications, apart from Rekey's own: the rotator may make secret ids for all roles of this mount. Some logins
  // with an ended secret id must not lock out the others.
  if (!logins.includes('workloads/')) await ask('POST', 'sys/auth/workloads', { type: 'approle' })
  await ask('POST', 'sys/auth/workloads/tune', { user_lockout_config: { lockout_disable: true } })

  // Certificates of applications, apart from those of nodes: the rotator may issue by all roles of this mount.
  await mount('pki-workloads', { type: 'pki', config: { max_lease_ttl: '8760h' } })
  await provisionRoot(ask, 'pki-workloads', 'Rekey local CA of workloads', '8760h')

  // Fingerprints are made with it and compared for ever: it can be used, and neither read nor deleted.
  await ask('POST', 'transit/keys/rekey-fingerprint', { type: 'hmac', key_size: 32 })
  await provisionPki(ask)
  await provisionDatabase(ask)
  await provisionStaticRoles(ask)
  for (const service of SERVICES) await provisionRole(ask, `rekey-${service}`, identities.of(service))
  // A fresh KV v2 mount refuses for a moment; asked here, nobody else meets that.
  await ask('GET', 'secret/config')
}

/** What logins of the database secrets engine need, but for a database. */
async function provisionDatabase(ask: Ask): Promise<void> {
  const file = (name: string) => readFile(new URL(`../../vault/${name}.hcl`, import.meta.url), 'utf8')
  await ask('POST', 'sys/policies/password/rekey-database', { policy: await file('rekey-database-password') })
  await ask('POST', 'sys/policies/acl/rekey-database', { policy: await file('rekey-database') })
  await ask('POST', 'auth/token/roles/rekey-database', {
    allowed_policies: ['rekey-database'],
    orphan: true,
    token_no_default_policy: true,
  })
}

/** What static roles of the database secrets engine need: tokens that change a password, and end within seconds. */
async function provisionStaticRoles(ask: Ask): Promise<void> {
  const name = 'rekey-database-static'
  const policy = await readFile(new URL(`../../vault/${name}.hcl`, import.meta.url), 'utf8')
  await ask('POST', `sys/policies/acl/${name}`, { policy })
  await ask('POST', `auth/token/roles/${name}`, {
    allowed_policies: [name],
    orphan: true,
    renewable: false,
    token_no_default_policy: true,
    token_explicit_max_ttl: '60s',
  })
}

async function provisionRoot(ask: Ask, mount: string, name: string, ttl: string): Promise<void> {
  const issuers = await askForList(ask, `${mount}/issuers?list=true`)
  if (issuers.length > 0) return
  await ask('POST', `${mount}/root/generate/internal`, {
    common_name: name,
    key_type: 'ec',
    key_bits: 256,
    ttl,
  })
}

async function provisionPki(ask: Ask): Promise<void> {
  await provisionRoot(ask, 'pki', 'Rekey local CA', '87600h')
  // The node's SPIFFE ID in the request is all that is taken from it, and nothing else may stand there.
  await ask('POST', 'pki/roles/rekey-node', {
    allow_any_name: false,
    allow_localhost: false,
    allow_ip_sans: false,
    allowed_uri_sans: 'spiffe://rekey.local/node/*',
    require_cn: false,
    use_csr_common_name: false,
    use_csr_sans: true,
    client_flag: true,
    server_flag: false,
    key_type: 'any',
    ttl: '24h',
    max_ttl: '24h',
  })
  await ask('POST', 'pki/roles/rekey-server', {
    allowed_domains: 'localhost',
    allow_bare_domains: true,
    allow_subdomains: false,
    allow_localhost: true,
    allow_ip_sans: true,
    require_cn: false,
    client_flag: true,
    server_flag: true,
    key_type: 'ec',
    key_bits: 256,
    ttl: '72h',
    max_ttl: '72h',
  })
}

async function askForList(ask: Ask, path: string): Promise<string[]> {
  try {
    return (await ask('GET', path)).data.keys
  } catch (error) {
    // Vault says 404 for an empty list.
    if (error instanceof VaultRefusal && error.status === 404) return []
    throw error
  }
}

async function provisionRole(
  ask: Ask,
  name: string,
  files: { vaultRoleIdFile: string; vaultSecretIdFile: string },
): Promise<void> {
  const policy = await readFile(new URL(`../../vault/${name}.hcl`, import.meta.url), 'utf8')
  await ask('POST', `sys/policies/acl/${name}`, { policy })
  await ask('POST', `auth/approle/role/${name}`, {
    token_policies: [name],
    token_ttl: '20m',
    token_max_ttl: '4h',
    secret_id_ttl: '0',
  })
  await keep(files.vaultRoleIdFile, (await ask('GET', `auth/approle/role/${name}/role-id`)).data.role_id)
  const secret = await kept(files.vaultSecretIdFile)
  if (secret && (await isKnown(ask, name, secret))) return
  await keep(
    files.vaultSecretIdFile,
    (await ask('POST', `auth/approle/role/${name}/secret-id`, {})).data.secret_id,
  )
}

async function isKnown(ask: Ask, name: string, secret: string): Promise<boolean> {
  const answer = await ask('POST', `auth/approle/role/${name}/secret-id/lookup`, { secret_id: secret }).catch(
    () => ({}) as Awaited<ReturnType<Ask>>,
  )
  return answer.data !== undefined
}
