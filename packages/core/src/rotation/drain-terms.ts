import type { Member } from './inputs.ts'
import type { Plan } from './state.ts'

/** Something that the drain waits for in any case, milliseconds from when the stores moved. */
export type DrainTerm = { ms: number; why: string }

/** What bounds the drain from below, the longest first: that one dominates. */
export function drainTerms({ quietMs, readerCacheMs }: Plan, members: Member[]): DrainTerm[] {
  // Nothing waits for what an excused node declares.
  const slowest = members
    .filter(({ excused }) => !excused)
    .reduce<Member | undefined>(
      (most, member) => ((member.cacheMs ?? 0) > (most?.cacheMs ?? 0) ? member : most),
      undefined,
    )
  const terms = [
    { ms: readerCacheMs, why: 'readers of the stores may hold it' },
    { ms: quietMs, why: 'it must be unused for so long' },
    ...(slowest ? [{ ms: slowest.cacheMs ?? 0, why: `${slowest.node} may hold it` }] : []),
  ]
  return terms.sort((a, b) => b.ms - a.ms)
}

/** The longest that a request may go on with what it began with, as nodes declare; undefined: none says. */
export function longestRequest(members: Member[]): DrainTerm | undefined {
  return members
    .flatMap(({ node, longestMs: ms }) =>
      ms === undefined ? [] : [{ ms, why: `a request on ${node} may run` }],
    )
    .sort((a, b) => b.ms - a.ms)[0]
}
