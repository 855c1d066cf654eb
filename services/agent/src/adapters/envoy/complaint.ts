import { dirname } from 'node:path'
import type { Updates } from './admin.ts'

type Seen = {
  secret: string
  path: string
  /** '' for no certificate. */
  wanted: string
  version: string | undefined
  updates: Updates
}

/** Why Envoy does not use what is in the file, as far as it tells, and what to do. */
export function complaint({ secret, path, wanted, version, updates }: Seen): string {
  if (version === undefined)
    return `Envoy has no secret "${secret}" by SDS: name it in its configuration, with path_config_source, and let stats_matcher pass "sds."`
  if (wanted === '')
    return `Envoy drops no certificate while it runs: restart it; there is none in ${path} any more`
  const what = `Envoy does not use ${wanted} of the secret "${secret}", but ${used(wanted, version)}`
  if (updates.unread > 0)
    return `${what}; updates that it could not read: ${updates.unread}. Let its user read ${path}, and look into its log`
  if (updates.rejected > 0)
    return `${what}; updates that it rejected: ${updates.rejected}. Its log says why ("update rejected")`
  return `${what}. The path and watched_directory of its path_config_source must be ${path} and ${dirname(path)}, and a listener or cluster must use it`
}

/** A foreign hand may have written anything there. */
function used(wanted: string, version: string): string {
  if (version === '') return 'none'
  return version !== wanted && /^[\w.:-]{1,100}$/.test(version) ? version : 'another one'
}
