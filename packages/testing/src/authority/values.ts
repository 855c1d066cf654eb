import type { StoredValue } from '@rekey/contracts'
import { type AuthorityUnderTest, on, ourValue } from './given.ts'
import { mintKept } from './minting.ts'

/** A new value of one generation: ours, or minted and kept, over the way that is not broken. */
export async function valueFor(given: AuthorityUnderTest, generation: number): Promise<StoredValue> {
  return given.provider ? mintKept(given, generation) : ourValue(given, generation)
}

/** As many as it takes at once, from generation 1 on. */
export async function fill(given: AuthorityUnderTest): Promise<StoredValue[]> {
  const { authority } = given
  const values: StoredValue[] = []
  for (let n = 1; n <= authority.slots; n++) values.push(await valueFor(given, n))
  for (const value of values) await on(authority).install(value)
  return values
}
