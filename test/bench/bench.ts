import { adapters } from './figures/adapters.ts'
import { agent } from './figures/agent.ts'
import { core } from './figures/core.ts'
import { exposure } from './figures/exposure.ts'
import { fleet } from './figures/fleet.ts'
import { footprint } from './figures/footprint.ts'
import { kinds } from './figures/kinds.ts'
import { lane } from './figures/lane.ts'
import { month } from './figures/month.ts'
import { quota } from './figures/quota.ts'
import { relay } from './figures/relay.ts'
import { rotations } from './figures/rotations.ts'
import { submit } from './figures/submit.ts'
import { lookAtMachine, type Machine } from './machine.ts'
import type { Figure } from './report.ts'
import { type Addresses, type Servers, startServers } from './servers.ts'

/** What each figure works with. */
export type Bench = {
  servers: Servers
  /** Sizes that show that it works, and say nothing. */
  quick: boolean
  /** How often each is measured. */
  runs: number
  /** Tells what is under way. */
  say: (line: string) => void
}

export const FIGURES = {
  core,
  rotations,
  submit,
  relay,
  lane,
  footprint,
  adapters,
  kinds,
  quota,
  exposure,
  fleet,
  month,
  agent,
} satisfies Record<string, (bench: Bench) => Promise<Figure>>
export type FigureName = keyof typeof FIGURES
export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[]

export type BenchOptions = {
  names: readonly FigureName[]
  quick: boolean
  runs: number
  say: (line: string) => void
  /** Servers that run already. */
  given?: Addresses
  onFigure?: (figure: Figure) => void
}

export async function runBench(options: BenchOptions): Promise<{ machine: Machine; figures: Figure[] }> {
  const { names, quick, runs, say } = options
  const servers = await startServers(options.given, say)
  try {
    const machine = await lookAtMachine(servers)
    const figures: Figure[] = []
    for (const name of names) {
      const figure = await FIGURES[name]({ servers, quick, runs, say })
      figures.push(figure)
      options.onFigure?.(figure)
    }
    return { machine, figures }
  } finally {
    await servers.stop()
  }
}
