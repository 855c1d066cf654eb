import type { Authority, Call, ProbeResult, Secret, StoredValue } from '@rekey/contracts'
import { expect } from 'vitest'
import { call } from '../call.ts'
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
  /** Somebody else puts this where Rekey would put the generation. */
  foreignInstall(value: StoredValue): Promise<void>
  /** A value that the authority's policy does not take. */
  unsuitable?: Secret
  close?(): Promise<void>
}

export type Given = () => AuthorityUnderTest

type Verb = 'install' | 'suspend' | 'reinstate' | 'revoke'

/** Its verbs, each with the call key of one effect. A verb that the authority has not fails loudly. */
export function on(
  authority: Authority,
  bound: Pick<Call, 'signal'> = { signal: AbortSignal.timeout(10_000) },
) {
  const able = <V extends Verb>(verb: V): NonNullable<Authority[V]> => {
    const found = authority[verb]
    if (!found) throw new Error(`the authority cannot ${verb}`)
    return found.bind(authority) as NonNullable<Authority[V]>
  }
  const at = (verb: Verb, generation: number): Call => ({ key: `r.${verb}.g${generation}`, ...bound })
  return {
    install: async (value: StoredValue) => able('install')(value, at('install', value.generation)),
    suspend: async (generation: number) => able('suspend')(generation, at('suspend', generation)),
    reinstate: async (generation: number) => able('reinstate')(generation, at('reinstate', generation)),
    revoke: async (generation: number) => able('revoke')(generation, at('revoke', generation)),
  }
}

/** As many as it takes at once, from generation 1 on. */
export async function fill(authority: Authority): Promise<StoredValue[]> {
  const values = Array.from({ length: authority.slots }, (_, n) => generationOf(n + 1))
  for (const value of values) await on(authority).install(value)
  return values
}

/** Waits until every endpoint gives this verdict, for as long as the authority says that it may lag. */
export async function settlesTo(
  { another, refusalLagMs = 0 }: AuthorityUnderTest,
  { value }: StoredValue,
  verdict: ProbeResult['verdict'],
): Promise<void> {
  const verdicts = async () => {
    const seen = await another.probe(value, call('probe'))
    return [...new Set(seen.map((one) => one.verdict))]
  }
  const timeout = refusalLagMs + 2_000
  await expect.poll(verdicts, { timeout, interval: 10 }).toEqual([verdict])
}
