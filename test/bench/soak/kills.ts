import type { Random } from '../../simulation/random.ts'

export const KILLS = [
  'gateway haproxy',
  'gateway nginx',
  'authorizer 1',
  'authorizer 2',
  'agent haproxy',
  'agent nginx',
  'conductor',
  'rotator',
  'fleet',
  'auditor',
  'control',
] as const
export type Kill = (typeof KILLS)[number]

/** What is killed, and how long after the order of its rollover, or after what was killed before it is back. */
export type Planned = { kill: Kill; afterMs: number }
/** What was killed, and when: between its signal and when it served again. */
export type Killed = { kill: Kill; atMs: number; backAtMs: number }

/**
 * For each rollover one, or more where there are fewer rollovers than kinds: all kinds in an order of their own, and then again in
 * another one.
 */
export function plannedKills(random: Random, rollovers: number, withinMs: number): Planned[][] {
  const each = Math.ceil(KILLS.length / rollovers)
  let deck: Kill[] = []
  const next = (): Planned => {
    if (deck.length === 0) deck = [...KILLS]
    const kill = random.pick(deck)
    deck = deck.filter((one) => one !== kill)
    return { kill, afterMs: random.between(0, Math.floor(withinMs / each)) }
  }
  return Array.from({ length: rollovers }, () => Array.from({ length: each }, next))
}

/** A stream that ran on a gateway which was killed meanwhile; one that no gateway had begun to answer may have met either. */
export function isCutByKill(
  { gateway, startedAtMs, endedAtMs }: { gateway: string; startedAtMs: number; endedAtMs: number },
  killed: readonly Killed[],
): boolean {
  return killed.some(
    ({ kill, atMs, backAtMs }) =>
      (gateway === '' ? kill.startsWith('gateway ') : kill === `gateway ${gateway}`) &&
      atMs <= endedAtMs &&
      startedAtMs <= backAtMs,
  )
}
