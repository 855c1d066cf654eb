import { setTimeout as delay } from 'node:timers/promises'
import { type Authority, RekeyError, type StoredValue } from '@rekey/contracts'
import { call } from '../call.ts'
import { type AuthorityUnderTest, on } from './given.ts'

/** One effect that stages a value of the provider's, over all its attempts. */
export type Minting = {
  /** One attempt. Whoever is first with a value has made the generation; what a later one made is discarded. */
  attempt(by: Authority): Promise<StoredValue>
  /** One that dies when the provider has answered: nobody has the value. */
  dieAfterMint(by: Authority): Promise<StoredValue>
}

/** As the rotator does it: what is there is noted once, before the first mint, and each attempt goes by that. */
export function mintingOf({ provider }: AuthorityUnderTest, generation: number): Minting {
  let noted: readonly string[] | undefined
  let kept: StoredValue | undefined
  const mint = async (by: Authority): Promise<StoredValue> => {
    const found = noted ?? (await on(by).list())
    noted ??= found
    return { generation, ...(await on(by).mint(noted, generation)) }
  }
  return {
    dieAfterMint: mint,
    async attempt(by) {
      const minted = kept ?? (await mint(by))
      kept ??= minted
      provider?.keep(kept)
      if (kept.keyId !== minted.keyId) await on(by).discard(minted.keyId)
      await on(by).keep(kept.keyId)
      return kept
    },
  }
}

/** Minted and kept, in as many attempts as that takes. */
export async function mintKept(given: AuthorityUnderTest, generation: number): Promise<StoredValue> {
  const { attempt } = mintingOf(given, generation)
  return untilDone(() => attempt(given.another))
}

/** Repeats an attempt as the ledger does: with pauses, for as long as its error says that this may help. */
export async function untilDone<T>(make: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 20_000
  for (;;) {
    try {
      return await make()
    } catch (error) {
      if (performance.now() > deadline || !RekeyError.is(error) || !error.retryable) throw error
      await delay(25)
    }
  }
}

/** The provider's names of all that is there since, in order. */
export async function namesAt({ another, provider }: AuthorityUnderTest): Promise<string[]> {
  const names = (await another.list?.(call('list'))) ?? []
  const isCounted = (name: string) => !provider?.standing?.includes(name) && !provider?.isSpare?.(name)
  return names.filter(isCounted).toSorted()
}
