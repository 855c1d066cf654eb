import { live, type Run } from './run.ts'
import type { Scenario } from './scenario.ts'

/** Enough to come to rest; each try lives a whole world. */
const TRIES_MAX = 400

/** Leaves out one thing after the other for as long as the same promise is still broken. */
export async function minimise(
  scenario: Scenario,
  invariant: string,
): Promise<{ scenario: Scenario; run: Run }> {
  let best = scenario
  let run = await live(best)
  let tries = 0
  for (let isBetter = true; isBetter && tries < TRIES_MAX; ) {
    isBetter = false
    for (const smaller of without(best)) {
      if (++tries > TRIES_MAX) break
      const tried = await live(smaller)
      if (tried.violation?.invariant !== invariant) continue
      best = smaller
      run = tried
      isBetter = true
      break
    }
  }
  return { scenario: best, run }
}

/** Every world that lacks one thing of this one: the largest things first. */
function* without(scenario: Scenario): Generator<Scenario> {
  const { credentials, failing, faults, orders, events, nodes, clients, rotators, conductors } = scenario
  if (credentials.length > 1)
    for (const { name } of credentials)
      yield {
        ...scenario,
        credentials: credentials.filter((c) => c.name !== name),
        clients: clients.filter((c) => c.credential !== name),
        orders: orders.filter((o) => o.credential !== name),
      }
  if (faults.length > 3) yield { ...scenario, faults: faults.slice(Math.ceil(faults.length / 2)) }
  if (faults.length > 3) yield { ...scenario, faults: faults.slice(0, Math.floor(faults.length / 2)) }
  for (const i of faults.keys()) yield { ...scenario, faults: leave(faults, i) }
  for (const i of failing.keys()) yield { ...scenario, failing: leave(failing, i) }
  for (const i of orders.keys()) yield { ...scenario, orders: leave(orders, i) }
  for (const i of events.keys()) yield { ...scenario, events: leave(events, i) }
  for (const i of clients.keys()) yield { ...scenario, clients: leave(clients, i) }
  if (nodes.length > 1) for (const i of nodes.keys()) yield { ...scenario, nodes: leave(nodes, i) }
  if (rotators > 1) yield { ...scenario, rotators: 1 }
  if (conductors > 1) yield { ...scenario, conductors: 1 }
  for (const i of events.keys())
    if ((events[i]?.copies ?? 1) > 1)
      yield { ...scenario, events: events.map((e, n) => (n === i ? { ...e, copies: 1 } : e)) }
  for (const i of nodes.keys())
    if (nodes[i]?.joinsAt !== 0)
      yield { ...scenario, nodes: nodes.map((node, n) => (n === i ? { ...node, joinsAt: 0 } : node)) }
}

function leave<T>(list: readonly T[], at: number): T[] {
  return list.filter((_, i) => i !== at)
}
