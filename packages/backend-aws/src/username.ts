import type { Secret } from '@rekey/contracts'

/** As AWS's secrets for databases have it. Undefined: it is none. Nothing of the text goes on from here. */
export function usernameIn(value: Secret): string | undefined {
  try {
    const { username, password } = JSON.parse(value.reveal())
    const isLogin = typeof username === 'string' && username !== '' && typeof password === 'string'
    return isLogin && password !== '' ? username : undefined
  } catch {
    return undefined
  }
}
