import { RekeyError } from '@rekey/contracts'
import type { BreakGlassUse } from '@rekey/ledger'
import { loadPolicies, readPolicyFolder } from '@rekey/policy'
import { type Logger, openSpool, secretFile } from '@rekey/runtime'
import type { Issuer } from './access/bearer-of-issuer.ts'
import { readBreakGlassKeys } from './access/break-glass.ts'
import { issuerKeys, type KeyPlace } from './access/issuer-keys.ts'
import type { Config } from './config.ts'
import type { ControlOptions } from './control.ts'

type Settings = Pick<ControlOptions, 'token' | 'issuer' | 'tls' | 'policies' | 'breakGlass'>

/** Reads what the configuration names: the ways in, and what they may. Whatever is wrong ends the start. */
export async function readSettings(config: Config, logger: Logger): Promise<Settings> {
  const { CONTROL_TOKEN_FILE: tokenFile, CONTROL_POLICIES_DIR: dir } = config
  const policies = dir === undefined ? undefined : loadPolicies(readPolicyFolder(dir))
  if (policies) logger.info({ dir, digest: policies.digest, policies: policies.ids }, 'policies loaded')
  const tls = tlsOf(config)
  const issuer = await issuerOf(config, logger)
  const breakGlass = await breakGlassOf(config)
  return {
    ...(tokenFile && { token: secretFile(tokenFile) }),
    ...(policies && { policies }),
    ...(tls && { tls }),
    ...(issuer && { issuer }),
    ...(breakGlass && { breakGlass }),
  }
}

async function issuerOf(config: Config, logger: Logger): Promise<Issuer | undefined> {
  const { CONTROL_OIDC_ISSUER: issuer, CONTROL_OIDC_AUDIENCE: audience } = config
  if (!issuer || !audience) return undefined
  const { CONTROL_OIDC_JWKS_URL: url, CONTROL_OIDC_JWKS_FILE: file } = config
  const place: KeyPlace = file ? { file } : url ? { url } : { issuer }
  const keys = issuerKeys(place, logger)
  const read = keys.refresh()
  // A file is there or never will be. An issuer may be back soon, and the shared token is for just that time: control
  // starts, and tokens are answered with 503 until then.
  if (file && !(await read))
    throw new RekeyError(
      'invalid_configuration',
      `CONTROL_OIDC_JWKS_FILE: ${file} holds no key set that can be read`,
    )
  return {
    issuer,
    audience,
    nameClaim: config.CONTROL_OIDC_NAME_CLAIM,
    groupsClaim: config.CONTROL_OIDC_GROUPS_CLAIM,
    skewMs: config.CONTROL_OIDC_SKEW_MS,
    keys,
  }
}

async function breakGlassOf(config: Config): Promise<ControlOptions['breakGlass']> {
  const { CONTROL_BREAK_GLASS_KEYS_FILE: keys, CONTROL_SPOOL_DIR: spool } = config
  if (!keys || !spool) return undefined
  return { keys: readBreakGlassKeys(keys), spool: await openSpool<BreakGlassUse>(spool) }
}

function tlsOf(config: Config): ControlOptions['tls'] {
  const { CONTROL_TLS_CERT_FILE: cert, CONTROL_TLS_KEY_FILE: key, CONTROL_TLS_CLIENT_CA_FILE: ca } = config
  if (!cert || !key) return undefined
  const pem = (file: string) => secretFile(file).reveal()
  return { cert: pem(cert), key: pem(key), ...(ca && { clientCa: pem(ca) }) }
}
