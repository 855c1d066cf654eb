import { RekeyError, Secret } from '@rekey/contracts'
import { errorOf, mentionsRoute, wordsOf } from './failure.ts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type AppRolePlace = { mount: string; role: string }

/** What a role says of its secret ids and tokens. Seconds; 0: no limit of its own. */
export type AppRoleLimits = {
  bindSecretId: boolean
  secretIdTtl: number
  secretIdUses: number
  tokenMaxTtl: number
  tokenExplicitMaxTtl: number
  tokenPeriod: number
}

export type SecretIdFacts = {
  /** Vault's clock, milliseconds since the epoch. */
  createdAt: number
  /** The last login, or its making. */
  updatedAt: number
  /** How many logins are left; 0: they are not counted. */
  usesLeft: number
  metadata: Record<string, string>
}

/** The secret ids of an AppRole by their accessors, which are no secret. */
export type VaultSecretIds = {
  appRoleLimits(role: AppRolePlace, bound?: Bound): Promise<AppRoleLimits>
  /** Whether some failed logins with one role id keep out whoever logs in with it. */
  loginLocksOut(mount: string, bound?: Bound): Promise<boolean>
  secretIdList(role: AppRolePlace, bound?: Bound): Promise<string[]>
  secretIdMake(
    role: AppRolePlace,
    made: { metadata: Record<string, string>; uses: number },
    bound?: Bound,
  ): Promise<{ accessor: string; secretId: Secret }>
  /** Undefined: there is none. */
  secretIdLookup(role: AppRolePlace, accessor: string, bound?: Bound): Promise<SecretIdFacts | undefined>
  /** Succeeds if it is gone already. */
  secretIdDestroy(role: AppRolePlace, accessor: string, bound?: Bound): Promise<void>
  /** Logs in as a client does, and ends the token at once. Throws where nothing is shown. */
  tryLogin(
    login: { mount: string; roleId: string; secretId: Secret },
    bound?: Bound,
  ): Promise<'accepted' | 'refused'>
}

/** Vault's one answer to a secret id that it does not know. */
const UNKNOWN = /invalid role or secret ID/i

export function vaultSecretIds(session: VaultSession): VaultSecretIds {
  const at = ({ mount, role }: AppRolePlace, ...rest: string[]) =>
    vaultPath('auth', mount, 'role', role, ...rest)

  async function secretIdLookup(role: AppRolePlace, accessor: string, bound?: Bound) {
    const what = `look up the secret id ${accessor} of ${role.role}`
    const path = at(role, 'secret-id-accessor', 'lookup')
    const body = { secret_id_accessor: accessor }
    const reply = await session.send({ method: 'POST', path, what, body, answers: [404] }, bound)
    if (reply.status === 404 && mentionsRoute(reply)) throw errorOf(reply, what)
    // Without data where another worker ends it in this moment.
    const isThere = reply.status !== 404 && isRecord(reply.body.data)
    return isThere ? factsFrom(reply.body.data, what) : undefined
  }

  return {
    secretIdLookup,

    async appRoleLimits(role, bound) {
      const what = `read the AppRole ${role.role} at ${role.mount}`
      const { body } = await session.send({ method: 'GET', path: at(role), what }, bound)
      const data = body.data
      if (!isRecord(data)) throw new RekeyError('bad_response', `${what}: Vault sent none`)
      const seconds = (field: string) => (typeof data[field] === 'number' ? data[field] : 0)
      return {
        bindSecretId: data.bind_secret_id === true,
        secretIdTtl: seconds('secret_id_ttl'),
        secretIdUses: seconds('secret_id_num_uses'),
        tokenMaxTtl: seconds('token_max_ttl'),
        tokenExplicitMaxTtl: seconds('token_explicit_max_ttl'),
        tokenPeriod: seconds('token_period'),
      }
    },

    async loginLocksOut(mount, bound) {
      const what = `ask whether auth/${mount} locks out`
      const { body } = await session.send({ method: 'GET', path: 'sys/auth', what }, bound)
      const mounted = isRecord(body.data) ? body.data[`${mount}/`] : undefined
      if (!isRecord(mounted))
        throw new RekeyError('not_found', `${what}: no way to log in is mounted at auth/${mount}`)
      const lockout = isRecord(mounted.config) ? mounted.config.user_lockout_config : undefined
      return !(isRecord(lockout) && lockout.user_lockout_disable === true)
    },

    async secretIdList(role, bound) {
      const what = `list the secret ids of ${role.role}`
      // Vault's other form is the HTTP verb LIST, which proxies may not know.
      const request = { method: 'GET', path: at(role, 'secret-id'), what, query: { list: 'true' } } as const
      const reply = await session.send({ ...request, answers: [404] }, bound)
      if (reply.status === 404 && mentionsRoute(reply)) throw errorOf(reply, what)
      const keys = isRecord(reply.body.data) ? reply.body.data.keys : undefined
      return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : []
    },

    async secretIdMake(role, { metadata, uses }, bound) {
      const what = `make a secret id of ${role.role}`
      const body = { metadata: JSON.stringify(metadata), num_uses: uses }
      const reply = await session.send({ method: 'POST', path: at(role, 'secret-id'), what, body }, bound)
      const data = isRecord(reply.body.data) ? reply.body.data : {}
      const { secret_id: secretId, secret_id_accessor: accessor } = data
      if (typeof secretId !== 'string' || typeof accessor !== 'string')
        throw new RekeyError('bad_response', `${what}: Vault sent none`)
      return { accessor, secretId: Secret.of(secretId) }
    },

    async secretIdDestroy(role, accessor, bound) {
      const what = `destroy the secret id ${accessor} of ${role.role}`
      const path = at(role, 'secret-id-accessor', 'destroy')
      const body = { secret_id_accessor: accessor }
      try {
        await session.send({ method: 'POST', path, what, body }, bound)
      } catch (error) {
        // Vault's answers to one that is gone differ between releases, and one is 500.
        const isThere = await secretIdLookup(role, accessor, bound).catch(() => true)
        if (isThere) throw error
      }
    },

    async tryLogin({ mount, roleId, secretId }, bound) {
      const what = 'try a secret id'
      const path = vaultPath('auth', mount, 'login')
      const body = { role_id: roleId, secret_id: secretId.reveal() }
      const request = { method: 'POST', path, what, body, token: 'none', answers: [400, 403] } as const
      const reply = await session.send(request, bound)
      if (reply.status !== 200) {
        if (UNKNOWN.test(wordsOf(reply))) return 'refused'
        throw errorOf(reply, what)
      }
      const token = isRecord(reply.body.auth) ? reply.body.auth.client_token : undefined
      if (typeof token !== 'string') throw new RekeyError('bad_response', `${what}: Vault sent no token`)
      const leave = {
        method: 'POST',
        path: 'auth/token/revoke-self',
        what: 'end the token of a try',
      } as const
      // The try has shown what it is for. A batch token cannot be ended; it has the rights of a client until its end.
      await session.send({ ...leave, body: {}, token: Secret.of(token) }, bound).catch(() => undefined)
      return 'accepted'
    },
  }
}

function factsFrom(data: unknown, what: string): SecretIdFacts {
  const facts = isRecord(data) ? data : {}
  const createdAt = Date.parse(String(facts.creation_time))
  const updatedAt = Date.parse(String(facts.last_updated_time))
  if (Number.isNaN(createdAt) || Number.isNaN(updatedAt) || typeof facts.secret_id_num_uses !== 'number')
    throw new RekeyError('bad_response', `${what}: Vault left out when it was made, or used`)
  const metadata = isRecord(facts.metadata) ? Object.entries(facts.metadata) : []
  return {
    createdAt,
    updatedAt,
    usesLeft: facts.secret_id_num_uses,
    metadata: Object.fromEntries(metadata.map(([key, value]) => [key, String(value)])),
  }
}
