import type { Authority, Call, ProbeResult, Secret, StoredValue } from '@rekey/contracts'
import { expect } from 'vitest'
import { call } from '../call.ts'
import { plantedSecret } from '../leak.ts'
import type { StoreFaults } from '../store/faults.ts'
import { generationOf } from '../store/given.ts'

/** How a kit breaks the way between an authority's client and its server. All faults end with `heal`. */
export type AuthorityFaults = Omit<StoreFaults, 'echo' | 'garble'>

/** One fresh account in which nothing is installed, and the ways to it. */
export type AuthorityUnderTest = {
  /** The authority, over a way that `faults` breaks. */
  authority: Authority
  /** The same account over a way of its own, as another worker has it. */
  another: Authority
  faults: AuthorityFaults
  /** How long an ended value may still be accepted; 0 by default. */
  refusalLagMs?: number
  /** Where we make the value: somebody else puts this where Rekey would put the generation. */
  foreignInstall?(value: StoredValue): Promise<void>
  /** A planted secret as a value of this authority, for one generation; by default the secret is the value. */
  shaped?(planted: Secret, generation: number): Secret
  /** A value that the authority's policy does not take. */
  unsuitable?: Secret
  /** Where the provider makes it: what it takes to mint as the rotator does. */
  provider?: {
    /** The ledger's part: from now on this is the generation, by its key id. */
    keep(value: StoredValue): void
    /** Somebody else makes a value beside Rekey's; returns the provider's name of it. */
    foreignMint(): Promise<string>
    /** What somebody else made meanwhile is not taken for what an attempt of Rekey could not keep. */
    tellsForeign: boolean
    /** Somebody uses a value. Absent where the authority shows that too late for a test. */
    use?(value: Secret): Promise<void>
    /** Names of what was there before Rekey, and stays for a while. */
    standing?: readonly string[]
    /** Where each slot always has a value: this is the name of one that nobody was given. */
    isSpare?(name: string): boolean
    /** Minting a generation again gives the value that there is: nothing of an earlier attempt is lost. */
    sameAgain?: true
    /** What of a value is secret; all of it by default. */
    secretOf?(value: Secret): Secret
  }
  close?(): Promise<void>
}

export type Given = () => AuthorityUnderTest

/**
 * The requests of what a kit does, one after the other: the 1st, the 2nd, … A test for the nth is without substance where one
 * before it found that there are not so many, and on a server that lets one wait it would take long.
 */
export function eachRequest(most: number) {
  let there = most
  return {
    numbers: Array.from({ length: most }, (_, index) => index + 1),
    isThere: (nth: number) => nth <= there,
    /** What the test for the nth found: so many requests there were. */
    counted(nth: number, requests: number) {
      if (requests < nth) there = Math.min(there, nth - 1)
    },
  }
}

type Verb = 'install' | 'suspend' | 'reinstate' | 'revoke' | 'list' | 'mint' | 'keep' | 'discard'

/** A verb that not every authority has; one that it has not fails loudly. */
export function able<V extends Verb>(authority: Authority, verb: V): NonNullable<Authority[V]> {
  const found = authority[verb]
  if (!found) throw new Error(`the authority cannot ${verb}`)
  return found.bind(authority) as NonNullable<Authority[V]>
}

/** Its verbs, each with the call key of one effect. */
export function on(
  authority: Authority,
  bound: Pick<Call, 'signal'> = { signal: AbortSignal.timeout(10_000) },
) {
  const at = (verb: Verb, generation: number): Call => ({ key: `r.${verb}.g${generation}`, ...bound })
  return {
    install: async (value: StoredValue) => able(authority, 'install')(value, at('install', value.generation)),
    suspend: async (generation: number) => able(authority, 'suspend')(generation, at('suspend', generation)),
    reinstate: async (generation: number) =>
      able(authority, 'reinstate')(generation, at('reinstate', generation)),
    revoke: async (generation: number) => able(authority, 'revoke')(generation, at('revoke', generation)),
    list: async () => able(authority, 'list')(at('list', 0)),
    mint: async (known: readonly string[], generation: number) =>
      able(authority, 'mint')(known, at('mint', generation), generation),
    /** Where what was minted would end by itself. */
    keep: async (keyId: string) => authority.keep?.(keyId, at('keep', 0)),
    discard: async (keyId: string) => able(authority, 'discard')(keyId, at('discard', 0)),
  }
}

/** A value of our own making, as this authority has them. */
export function ourValue({ shaped }: AuthorityUnderTest, generation: number): StoredValue {
  const planted = plantedSecret()
  return generationOf(generation, shaped?.(planted, generation) ?? planted)
}

/** What must not be found in an error. */
export function secretIn({ provider }: AuthorityUnderTest, { value }: StoredValue): Secret {
  return provider?.secretOf?.(value) ?? value
}

/** Waits until every endpoint gives this verdict, for as long as the authority says that it may lag. */
export async function settlesTo(
  { another, refusalLagMs = 0 }: AuthorityUnderTest,
  { value }: Pick<StoredValue, 'value'>,
  verdict: ProbeResult['verdict'],
): Promise<void> {
  const verdicts = async () => {
    const seen = await another.probe(value, call('probe'))
    return [...new Set(seen.map((one) => one.verdict))]
  }
  const timeout = refusalLagMs + 2_000
  await expect.poll(verdicts, { timeout, interval: 10 }).toEqual([verdict])
}
