import type { Passed, Point, Side } from './plan.ts'

/** A process dies before or after this point. */
export type Target = Point & { side: Side }

type PassedBy = Record<string, Passed[]>

/**
 * What undisturbed journeys have in common. What only some of them did depends on the moment (how many records one
 * batch held, how often a timer looked again), and a kill there might never come.
 */
export function targetsOf(journeys: PassedBy[]): Target[] {
  const [first = {}, ...others] = journeys
  const all = Object.entries(first).flatMap(([service, passed]) => {
    const inOthers = others.map((other) => new Set((other[service] ?? []).map(nameOf)))
    const seen = new Set<string>()
    const stable = passed.filter((point) => {
      // One act, one target: a batch is not killed once for each record in it.
      const act = `${point.pid} ${point.nth} ${point.side}`
      if (seen.has(act) || !inOthers.every((names) => names.has(nameOf(point)))) return false
      seen.add(act)
      return true
    })
    return stable.map(({ label, occurrence, side }): Target => ({ service, label, occurrence, side }))
  })
  return byTurns(all)
}

/** All agents run the same code and do the same: each act is tried on one of them. */
function byTurns(targets: Target[]): Target[] {
  const counts = new Map<string, number>()
  return targets.filter(({ service }) => {
    const agent = /^agent-(\d+)$/.exec(service)?.[1]
    const count = counts.get(service) ?? 0
    counts.set(service, count + 1)
    return agent === undefined || count % AGENTS === Number(agent) - 1
  })
}

const AGENTS = 2

function nameOf({ label, occurrence, side }: Passed): string {
  return `${label} #${occurrence} ${side}`
}

/** What sort of act a point is, such as `agent file rename` or `rotator vault POST`. */
export function kindOf({ service, label }: Point): string {
  const words = label.split(' ')
  const verb = words[0] === 'haproxy' || words[1] === 'sync' ? words.slice(0, 3) : words.slice(0, 2)
  const kind = words[0] === 'try' ? 'try' : verb.join(' ').replace(/ (gw-\d+|state)$/, '')
  return `${service.replace(/-\d+$/, '')} ${kind}`
}

/** One target of each kind, from changing places. The journeys that have a kind take turns, so that each gets some. */
export function oneOfEachKind<J>(journeys: { journey: J; targets: Target[] }[]): Map<J, Target[]> {
  const kinds = new Map<string, { journey: J; targets: Target[] }[]>()
  for (const { journey, targets } of journeys)
    for (const [kind, of] of Map.groupBy(targets, kindOf))
      kinds.set(kind, [...(kinds.get(kind) ?? []), { journey, targets: of }])
  const chosen = new Map<J, Target[]>(journeys.map(({ journey }) => [journey, []]))
  for (const [index, having] of [...kinds.values()].entries()) {
    const { journey, targets } = having[index % having.length] ?? {}
    const target = targets?.[(index * 7) % targets.length]
    if (journey !== undefined && target) chosen.get(journey)?.push(target)
  }
  return chosen
}

/** The same order for the same seed. */
export function shuffled<T>(items: T[], seed: number): T[] {
  const random = mulberry32(seed)
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
