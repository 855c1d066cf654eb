import { RekeyError, Secret } from '@rekey/contracts'
import type { DatabaseRolePlace } from './database.ts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

/** What a static role of the database secrets engine says of itself. */
export type StaticRoleFacts = {
  username: string
  /** The name of the connection to its database. */
  database: string
  credentialType: string
  /** Seconds; undefined: it goes by a schedule. */
  rotationPeriod?: number
  /** When Vault last changed the password, by Vault's clock and in its own words: to the nanosecond. */
  rotatedAt: string
}

export type StaticLogin = { username: string; password: Secret; rotatedAt: string }

export type VaultStaticRoles = {
  staticRole(role: DatabaseRolePlace, bound?: Bound): Promise<StaticRoleFacts>
  staticLogin(role: DatabaseRolePlace, bound?: Bound): Promise<StaticLogin>
  /** Lets Vault change the password now, by a token of its own. */
  staticRotate(role: DatabaseRolePlace, token: Secret, bound?: Bound): Promise<void>
  /** A token for one call within so many seconds. Where Vault gives it longer, this is `invalid_configuration`. */
  tokenForOneCall(tokenRole: string, seconds: number, bound?: Bound): Promise<Secret>
}

export function vaultStaticRoles(session: VaultSession): VaultStaticRoles {
  async function read(
    kind: 'static-roles' | 'static-creds',
    { mount, role }: DatabaseRolePlace,
    bound?: Bound,
  ) {
    const path = vaultPath(mount, kind, role)
    const what = kind === 'static-roles' ? `read the static role ${role} of ${mount}` : `read ${path}`
    const { body } = await session.send({ method: 'GET', path, what }, bound)
    const data = isRecord(body.data) ? body.data : {}
    const text = (field: string) => {
      const found = data[field]
      if (typeof found === 'string' && found !== '') return found
      throw new RekeyError('bad_response', `${what}: Vault left out ${field}`)
    }
    return { data, text }
  }

  return {
    async staticRole(place, bound) {
      const { data, text } = await read('static-roles', place, bound)
      const period = data.rotation_period
      return {
        username: text('username'),
        database: text('db_name'),
        // Older servers have passwords alone, and do not say so.
        credentialType: data.credential_type === undefined ? 'password' : text('credential_type'),
        ...(typeof period === 'number' && { rotationPeriod: period }),
        rotatedAt: text('last_vault_rotation'),
      }
    },

    async staticLogin(place, bound) {
      const { text } = await read('static-creds', place, bound)
      return {
        username: text('username'),
        password: Secret.of(text('password')),
        rotatedAt: text('last_vault_rotation'),
      }
    },

    async staticRotate({ mount, role }, token, bound) {
      const path = vaultPath(mount, 'rotate-role', role)
      await session.send({ method: 'POST', path, what: `ask for ${path}`, body: {}, token }, bound)
    },

    async tokenForOneCall(tokenRole, seconds, bound) {
      const what = `make a token of the token role ${tokenRole}`
      const path = vaultPath('auth/token/create', tokenRole)
      const made = { ttl: `${seconds}s`, num_uses: 1, display_name: 'rekey' }
      const { body } = await session.send({ method: 'POST', path, what, body: made }, bound)
      const auth = isRecord(body.auth) ? body.auth : {}
      if (typeof auth.client_token !== 'string')
        throw new RekeyError('bad_response', `${what}: Vault sent none`)
      const why = longLived(auth, tokenRole, seconds)
      if (why === undefined) return Secret.of(auth.client_token)
      throw new RekeyError('invalid_configuration', why)
    },
  }
}

/** What comes later than it was meant to must find no token. */
function longLived(auth: Record<string, unknown>, tokenRole: string, seconds: number): string | undefined {
  const write = (setting: string) => `vault write auth/token/roles/${tokenRole} ${setting}`
  if (auth.renewable === true)
    return `tokens of ${tokenRole} can be made to live on: ${write('renewable=false')}`
  const lives = Number(auth.lease_duration)
  // 0: for ever.
  if (lives > 0 && lives <= seconds) return undefined
  return `tokens of ${tokenRole} live for ${lives === 0 ? 'ever' : `${lives} s`}, and it was asked for ${seconds} s: ${write('token_explicit_max_ttl=60s token_period=0')}`
}
