import { RekeyError, Secret } from '@rekey/contracts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type DatabaseRolePlace = { mount: string; role: string }

/** What a role of the database secrets engine says of its logins. Seconds; 0: as the mount says. */
export type DatabaseRoleFacts = {
  defaultTtl: number
  maxTtl: number
  revocationStatements: string[]
}

/** A login that was just made, and its lease. */
export type MadeLogin = { username: string; password: Secret; leaseId: string }

export type VaultDatabase = {
  databaseRole(role: DatabaseRolePlace, bound?: Bound): Promise<DatabaseRoleFacts>
  /** A login that ends with this token, and with its lease. */
  databaseLogin(role: DatabaseRolePlace, token: Secret, bound?: Bound): Promise<MadeLogin>
  /**
   * A token as a token role allows it, which does not end with ours. `seconds` is how long it lives at least: else this is
   * `invalid_configuration`.
   */
  tokenMake(
    tokenRole: string,
    made: { seconds: number; metadata: Record<string, string>; displayName: string },
    bound?: Bound,
  ): Promise<Secret>
  /** Ends a token, and what was made with it. */
  tokenRevoke(token: Secret, bound?: Bound): Promise<void>
}

export function vaultDatabase(session: VaultSession): VaultDatabase {
  const tokenRevoke = async (token: Secret, bound?: Bound) => {
    const what = 'end the token of a login'
    await session.send({ method: 'POST', path: 'auth/token/revoke-self', what, body: {}, token }, bound)
  }

  return {
    tokenRevoke,

    async databaseRole({ mount, role }, bound) {
      const what = `read the role ${role} of ${mount}`
      const { body } = await session.send(
        { method: 'GET', path: vaultPath(mount, 'roles', role), what },
        bound,
      )
      const data = body.data
      if (!isRecord(data)) throw new RekeyError('bad_response', `${what}: Vault sent none`)
      const seconds = (field: string) => (typeof data[field] === 'number' ? data[field] : 0)
      const statements = data.revocation_statements
      return {
        defaultTtl: seconds('default_ttl'),
        maxTtl: seconds('max_ttl'),
        revocationStatements: Array.isArray(statements) ? statements.map(String) : [],
      }
    },

    async databaseLogin({ mount, role }, token, bound) {
      const path = vaultPath(mount, 'creds', role)
      const what = `ask ${path} for a login`
      const { body } = await session.send({ method: 'GET', path, what, token }, bound)
      const { username, password } = isRecord(body.data) ? body.data : {}
      const leaseId = body.lease_id
      if (typeof username !== 'string' || typeof password !== 'string' || typeof leaseId !== 'string')
        throw new RekeyError('bad_response', `${what}: Vault sent none`)
      return { username, password: Secret.of(password), leaseId }
    },

    async tokenMake(tokenRole, { seconds, metadata, displayName }, bound) {
      const what = `make a token of the token role ${tokenRole}`
      const path = vaultPath('auth/token/create', tokenRole)
      const made = { ttl: `${seconds}s`, meta: metadata, display_name: displayName }
      const { body } = await session.send({ method: 'POST', path, what, body: made }, bound)
      const auth = isRecord(body.auth) ? body.auth : {}
      if (typeof auth.client_token !== 'string')
        throw new RekeyError('bad_response', `${what}: Vault sent none`)
      const token = Secret.of(auth.client_token)
      const why = shortLived(auth, tokenRole, seconds)
      if (why === undefined) return token
      // A batch token cannot be ended. It opens nothing that anybody has.
      await tokenRevoke(token, bound).catch(() => undefined)
      throw new RekeyError('invalid_configuration', why)
    },
  }
}

/** What is made with a token ends with it, whatever lease it has. */
function shortLived(auth: Record<string, unknown>, tokenRole: string, seconds: number): string | undefined {
  const write = (setting: string) => `vault write auth/token/roles/${tokenRole} ${setting}`
  if (auth.orphan !== true)
    return `tokens of ${tokenRole} end with the rotator's own: ${write('orphan=true')}`
  if (auth.token_type !== 'service')
    return `tokens of ${tokenRole} are ${auth.token_type} tokens, which hold no lease for long: ${write('token_type=default-service')}`
  const lives = Number(auth.lease_duration)
  // 0: for ever.
  if (lives === 0 || lives >= seconds) return undefined
  return `tokens of ${tokenRole} live for ${lives} s, and a login needs ${seconds} s: ${write('token_explicit_max_ttl=0 token_period=0')}, and vault auth tune -max-lease-ttl=${seconds}s token/`
}
