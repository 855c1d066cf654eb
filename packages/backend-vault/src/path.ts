import { RekeyError } from '@rekey/contracts'

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9_.:-]*$/

/**
 * A path below `/v1/`, checked. node-vault sends paths as they are, so that `..`, `?` or `%2e` in a name would
 * reach another endpoint with our token.
 */
export function vaultPath(...parts: string[]): string {
  const path = parts.join('/')
  const good =
    path.length <= 800 && path.split('/').every((part) => SEGMENT.test(part) && !part.includes('..'))
  if (good) return path
  throw new RekeyError(
    'invalid_configuration',
    'a Vault path may hold letters, digits, _ . : - and single slashes',
  )
}
