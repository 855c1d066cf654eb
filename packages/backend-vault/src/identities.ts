import { RekeyError, Secret } from '@rekey/contracts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

export type AppRoleSettings = {
  policies: readonly string[]
  tokenTtlSeconds: number
  tokenMaxTtlSeconds: number
  /** 0: a secret id lives until it is withdrawn. */
  secretIdTtlSeconds: number
  /** 0: any number of logins. */
  secretIdUses?: number
}

export type AppRoleOptions = Bound & { mount?: string }

/** AppRoles and policies: what an enrolment needs. */
export type VaultIdentities = {
  policyWrite(name: string, rules: PolicyRules, bound?: Bound): Promise<void>
  policyDelete(name: string, bound?: Bound): Promise<void>
  appRoleWrite(name: string, settings: AppRoleSettings, options?: AppRoleOptions): Promise<void>
  appRoleDelete(name: string, options?: AppRoleOptions): Promise<void>
  appRoleId(name: string, options?: AppRoleOptions): Promise<string>
  /** A new secret id, given out only as a wrapping token: the first to unwrap it is the only one. */
  wrappedSecretId(name: string, wrapTtlSeconds: number, options?: AppRoleOptions): Promise<Secret>
  /** Opens a wrapped secret id. A second try fails, which is how a theft on the way shows. */
  unwrapSecretId(wrapped: Secret, bound?: Bound): Promise<Secret>
}

export type PolicyRules = Record<string, readonly ('create' | 'read' | 'update' | 'delete' | 'list')[]>

const MOUNT = 'approle'

export function vaultIdentities(session: VaultSession): VaultIdentities {
  const rolePath = (name: string, options: AppRoleOptions | undefined, ...rest: string[]) =>
    vaultPath('auth', options?.mount ?? MOUNT, 'role', name, ...rest)

  return {
    async policyWrite(name, rules, bound) {
      const paths = Object.entries(rules).map(([path, capabilities]) => [path, { capabilities }])
      const policy = JSON.stringify({ path: Object.fromEntries(paths) })
      const path = vaultPath('sys/policies/acl', name)
      await session.send({ method: 'POST', path, what: `write the policy ${name}`, body: { policy } }, bound)
    },

    async policyDelete(name, bound) {
      const path = vaultPath('sys/policies/acl', name)
      const request = { method: 'DELETE', path, what: `delete the policy ${name}`, answers: [404] } as const
      await session.send(request, bound)
    },

    async appRoleWrite(name, settings, options) {
      const body = {
        bind_secret_id: true,
        token_type: 'service',
        token_policies: [...settings.policies],
        token_ttl: settings.tokenTtlSeconds,
        token_max_ttl: settings.tokenMaxTtlSeconds,
        secret_id_ttl: settings.secretIdTtlSeconds,
        secret_id_num_uses: settings.secretIdUses ?? 0,
      }
      const what = `write the AppRole ${name}`
      await session.send({ method: 'POST', path: rolePath(name, options), what, body }, options)
    },

    async appRoleDelete(name, options) {
      const what = `delete the AppRole ${name}`
      const request = { method: 'DELETE', path: rolePath(name, options), what, answers: [404] } as const
      await session.send(request, options)
    },

    async appRoleId(name, options) {
      const what = `read the role id of ${name}`
      const path = rolePath(name, options, 'role-id')
      const { body } = await session.send({ method: 'GET', path, what }, options)
      const roleId = isRecord(body.data) ? body.data.role_id : undefined
      if (typeof roleId === 'string') return roleId
      throw new RekeyError('bad_response', `${what}: Vault sent none`)
    },

    async wrappedSecretId(name, wrapTtlSeconds, options) {
      const what = `make a secret id for ${name}`
      const path = rolePath(name, options, 'secret-id')
      const { body } = await session.send({ method: 'POST', path, what, body: {}, wrapTtlSeconds }, options)
      const token = isRecord(body.wrap_info) ? body.wrap_info.token : undefined
      if (typeof token === 'string') return Secret.of(token)
      throw new RekeyError('bad_response', `${what}: Vault sent no wrapping token`)
    },

    async unwrapSecretId(wrapped, bound) {
      const what = 'unwrap a secret id'
      const path = 'sys/wrapping/unwrap'
      const { body } = await session.send({ method: 'POST', path, what, token: wrapped }, bound)
      const secretId = isRecord(body.data) ? body.data.secret_id : undefined
      if (typeof secretId === 'string') return Secret.of(secretId)
      throw new RekeyError('bad_response', `${what}: the wrapped answer held none`)
    },
  }
}
