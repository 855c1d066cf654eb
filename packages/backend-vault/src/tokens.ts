import { RekeyError } from '@rekey/contracts'
import { errorOf, wordsOf } from './failure.ts'
import { type Bound, isRecord, type VaultSession } from './session.ts'

/** What is known of a token by its accessor. */
type TokenFacts = { accessor: string; path: string; metadata: Record<string, unknown> }

export type VaultTokens = {
  /**
   * Ends the tokens of a login path that bear this metadata. Looks at each token of the server, because Vault has no other
   * way from a secret id to its tokens.
   */
  tokensEnd(of: { path: string; metadata: { key: string; value: string } }, bound?: Bound): Promise<void>
}

const AT_ONCE = 16
/** A login that was under way has its token after the first look. */
const LOOKS_MAX = 5

export function vaultTokens(session: VaultSession): VaultTokens {
  /** An answer about one token; undefined: it ended meanwhile. */
  async function about(accessor: string, verb: 'lookup-accessor' | 'revoke-accessor', bound?: Bound) {
    const what = verb === 'lookup-accessor' ? 'look up a token' : 'end a token'
    const request = { method: 'POST', path: `auth/token/${verb}`, what, body: { accessor } } as const
    const reply = await session.send({ ...request, answers: [400, 403, 404, 500] }, bound)
    if (reply.status === 200) return reply.body
    // A missing right is answered with the same status.
    if (/invalid accessor/i.test(wordsOf(reply))) return undefined
    throw errorOf(reply, what)
  }

  async function all(bound?: Bound): Promise<string[]> {
    const what = 'list the tokens of Vault'
    const request = { method: 'GET', path: 'auth/token/accessors', what, query: { list: 'true' } } as const
    const { body } = await session.send(request, bound)
    const keys = isRecord(body.data) ? body.data.keys : undefined
    if (!Array.isArray(keys)) throw new RekeyError('bad_response', `${what}: Vault sent none`)
    return keys.filter((key) => typeof key === 'string')
  }

  async function facts(accessor: string, bound?: Bound): Promise<TokenFacts | undefined> {
    const data = (await about(accessor, 'lookup-accessor', bound))?.data
    if (!isRecord(data)) return undefined
    return { accessor, path: String(data.path), metadata: isRecord(data.meta) ? data.meta : {} }
  }

  return {
    async tokensEnd({ path, metadata: { key, value } }, bound) {
      for (let look = 1; look <= LOOKS_MAX; look++) {
        const found: TokenFacts[] = []
        const accessors = await all(bound)
        for (let from = 0; from < accessors.length; from += AT_ONCE) {
          const batch = accessors.slice(from, from + AT_ONCE)
          const seen = await Promise.all(batch.map((accessor) => facts(accessor, bound)))
          found.push(...seen.filter((one) => one !== undefined))
        }
        const theirs = found.filter((one) => one.path === path && one.metadata[key] === value)
        if (theirs.length === 0) return
        for (const { accessor } of theirs) await about(accessor, 'revoke-accessor', bound)
      }
      throw new RekeyError('backend_unavailable', `tokens of ${path} came up again while they were ended`)
    },
  }
}
