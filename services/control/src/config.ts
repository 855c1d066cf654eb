import { z } from 'zod'
import { isSafe } from './access/issuer-keys.ts'

const text = z.string().min(1)

const KeysUrl = z
  .string()
  .refine(isSafe, 'https, or http on this host: keys that came over plain HTTP could be anybody’s')

export const Config = z
  .object({
    DATABASE_URL: text,
    CONTROL_PORT: z.coerce.number().int().min(0).max(65_535).default(7400),
    /** Give it another address only with TLS: by CONTROL_TLS_CERT_FILE, or behind something that ends it. */
    CONTROL_HOST: text.default('127.0.0.1'),
    /** A file, because environments and arguments are readable by others. */
    CONTROL_TOKEN_FILE: text.optional(),
    /** Cedar policies. Without them whoever has the shared token may do everything. */
    CONTROL_POLICIES_DIR: text.optional(),
    /** The `iss` of the tokens that are taken. Its keys come from its openid-configuration, unless a place is named. */
    CONTROL_OIDC_ISSUER: text.optional(),
    CONTROL_OIDC_AUDIENCE: text.optional(),
    CONTROL_OIDC_JWKS_URL: KeysUrl.optional(),
    CONTROL_OIDC_JWKS_FILE: text.optional(),
    /** Must name a person for good: whoever gets a name of somebody else gets their rights. */
    CONTROL_OIDC_NAME_CLAIM: text.default('sub'),
    CONTROL_OIDC_GROUPS_CLAIM: text.default('groups'),
    CONTROL_OIDC_SKEW_MS: z.coerce.number().int().min(0).max(300_000).default(30_000),
    /** Public keys (a JWK set) of those who make break-glass tokens, for when the identity provider is down. */
    CONTROL_BREAK_GLASS_KEYS_FILE: text.optional(),
    /** A folder of this control alone: each use of a break-glass token is on its disk before anything is done. */
    CONTROL_SPOOL_DIR: text.optional(),
    CONTROL_TLS_CERT_FILE: text.optional(),
    CONTROL_TLS_KEY_FILE: text.optional(),
    /** Whose client certificates are a way in. */
    CONTROL_TLS_CLIENT_CA_FILE: text.optional(),
    /** For `who` alone: Vault makes fingerprints and gives no value to this identity. Without it `who` is refused. */
    VAULT_ADDR: z.url().optional(),
    VAULT_ROLE_ID_FILE: text.optional(),
    VAULT_SECRET_ID_FILE: text.optional(),
  })
  .refine(
    // An address alone is in many a shell, and asks for nothing.
    ({ VAULT_ADDR, VAULT_ROLE_ID_FILE: role, VAULT_SECRET_ID_FILE: secret }) =>
      (role === undefined && secret === undefined) ||
      (VAULT_ADDR !== undefined && role !== undefined && secret !== undefined),
    { path: ['VAULT_ROLE_ID_FILE'], message: 'goes with VAULT_SECRET_ID_FILE and VAULT_ADDR' },
  )
  .refine((c) => c.CONTROL_TOKEN_FILE ?? c.CONTROL_OIDC_ISSUER ?? c.CONTROL_TLS_CLIENT_CA_FILE, {
    path: ['CONTROL_TOKEN_FILE'],
    message: 'or CONTROL_OIDC_ISSUER or CONTROL_TLS_CLIENT_CA_FILE: without any nobody could come in',
  })
  .refine(
    (c) =>
      c.CONTROL_POLICIES_DIR !== undefined ||
      (c.CONTROL_OIDC_ISSUER === undefined &&
        c.CONTROL_TLS_CLIENT_CA_FILE === undefined &&
        c.CONTROL_BREAK_GLASS_KEYS_FILE === undefined),
    {
      path: ['CONTROL_POLICIES_DIR'],
      message:
        'goes with CONTROL_OIDC_ISSUER, CONTROL_TLS_CLIENT_CA_FILE and CONTROL_BREAK_GLASS_KEYS_FILE: not everybody may do everything',
    },
  )
  .refine((c) => (c.CONTROL_BREAK_GLASS_KEYS_FILE === undefined) === (c.CONTROL_SPOOL_DIR === undefined), {
    path: ['CONTROL_SPOOL_DIR'],
    message: 'goes with CONTROL_BREAK_GLASS_KEYS_FILE: no use of such a token is without a trace',
  })
  .refine((c) => (c.CONTROL_OIDC_ISSUER === undefined) === (c.CONTROL_OIDC_AUDIENCE === undefined), {
    path: ['CONTROL_OIDC_AUDIENCE'],
    message: 'goes with CONTROL_OIDC_ISSUER: a token for somebody else must not open this door',
  })
  .refine(
    (c) => {
      const places = [c.CONTROL_OIDC_JWKS_URL, c.CONTROL_OIDC_JWKS_FILE].filter(
        (place) => place !== undefined,
      )
      if (c.CONTROL_OIDC_ISSUER === undefined) return places.length === 0
      return places.length === 1 || (places.length === 0 && isSafe(c.CONTROL_OIDC_ISSUER))
    },
    {
      path: ['CONTROL_OIDC_JWKS_URL'],
      message:
        'give this or CONTROL_OIDC_JWKS_FILE or neither, and then CONTROL_OIDC_ISSUER is an address in https',
    },
  )
  .refine(
    (c) =>
      (c.CONTROL_TLS_CERT_FILE === undefined) === (c.CONTROL_TLS_KEY_FILE === undefined) &&
      (c.CONTROL_TLS_CLIENT_CA_FILE === undefined || c.CONTROL_TLS_CERT_FILE !== undefined),
    {
      path: ['CONTROL_TLS_CERT_FILE'],
      message: 'goes with CONTROL_TLS_KEY_FILE, and CONTROL_TLS_CLIENT_CA_FILE needs both',
    },
  )
export type Config = z.infer<typeof Config>
