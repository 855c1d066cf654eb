import type { Run } from './run.ts'
import type { Scenario } from './scenario.ts'

const LAST = 40

/** What happened, one line each. */
export function told(run: Run, { all }: { all: boolean }): string[] {
  return (all ? run.noted : run.noted.slice(-LAST)).map(({ at, what, about }) => {
    const words = about.map((a) => (typeof a === 'string' ? a : JSON.stringify(a)))
    return `${String(at).padStart(7)} ${what} ${words.join(' ')}`
  })
}

/** A world in a few lines: what it has, and what is done to it. */
export function outline(scenario: Scenario): string[] {
  const { credentials, nodes, clients, rotators, conductors, orders, events, faults, healsAt } = scenario
  return [
    `seed ${scenario.seed}: ${rotators} rotators, ${conductors} conductors, pace ${scenario.pace}, quiet from ${healsAt}`,
    ...credentials.map(({ name, plan, isAdopted, isFenced, isLimited, lagMs }) =>
      JSON.stringify({ name, isAdopted, isFenced, isLimited, lagMs, ...plan }),
    ),
    ...nodes.map(({ name, joinsAt }) => `${name} joins at ${joinsAt}`),
    ...clients.map(({ credential, store }) => `a client of ${credential} reads ${store}`),
    ...[...orders, ...events, ...faults].sort((a, b) => a.at - b.at).map((done) => JSON.stringify(done)),
  ]
}
