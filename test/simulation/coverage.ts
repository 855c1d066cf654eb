import type { EffectKind } from '@rekey/core'
import { ACT_POINTS, FAULT_KINDS, type FaultKind } from './faults.ts'
import { PAUSE_MOMENTS } from './ground.ts'

/** Where a rotation can be when something goes wrong. */
export const STEPS = [
  'planned',
  'staging',
  'rolling',
  'promoting',
  'confirming',
  'live',
  'abandoned',
  'waiting',
  'draining',
  'suspending',
  'revoking',
  'proving',
] as const

/** What a worker does outside. */
export const ACTS = [
  'stage',
  'install',
  'promote',
  'restore',
  'withdraw',
  'suspend',
  'reinstate',
  'revoke',
  'destroy',
  'probe',
  'deliver',
] as const satisfies EffectKind[]

/** Pairs that cannot meet, and why. */
export const IMPOSSIBLE: Readonly<Record<string, string>> = Object.fromEntries([
  ...STEPS.filter((step) => step !== 'revoking').map((step) => [
    `provider-lag ${step}`,
    'it shows at a revocation; that another credential is at this step then is chance',
  ]),
  ...[
    'crash:sending',
    'crash:answered',
    'pause:sending',
    'pause:answered',
    'ambiguous',
    'throttle',
    'down',
  ].map((fault) => [`${fault} deliver`, 'a delivery asks no server: it hands a name to a queue']),
])

/** How often what met what. */
export class Coverage {
  readonly #counts = new Map<string, number>()

  note(fault: string, met: string, times = 1): void {
    const key = `${fault} ${met}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + times)
  }

  add(other: Coverage): void {
    for (const [key, times] of other.#counts) this.#counts.set(key, (this.#counts.get(key) ?? 0) + times)
  }

  times(fault: string, met: string): number {
    return this.#counts.get(`${fault} ${met}`) ?? 0
  }

  /** Pairs that should have met and did not. */
  missing(): string[] {
    const pairs = [
      ...FAULT_KINDS.flatMap((fault) => STEPS.map((step) => [fault, step] as const)),
      ...MOMENTS.flatMap((fault) => ACTS.map((act) => [fault, act] as const)),
      ...PAUSE_MOMENTS.flatMap((moment) => STEPS.map((step) => [moment, step] as const)),
    ]
    return pairs.filter(([fault, met]) => this.times(fault, met) === 0).map((pair) => pair.join(' '))
  }

  table(rows: readonly string[], columns: readonly string[]): string {
    const width = Math.max(...rows.map((row) => row.length)) + 2
    const line = (name: string, cells: string[]) =>
      name.padEnd(width) + cells.map((cell) => cell.padStart(11)).join('')
    const head = line('', [...columns])
    const body = rows.map((row) =>
      line(
        row,
        columns.map((column) => String(this.times(row, column))),
      ),
    )
    return [head, ...body].join('\n')
  }

  report(): string {
    const impossible = (pair: string) => IMPOSSIBLE[pair]
    const missing = this.missing()
    const stated = missing.filter((pair) => impossible(pair) !== undefined)
    const open = missing.filter((pair) => impossible(pair) === undefined)
    return [
      'fault x step of the rotation',
      this.table(FAULT_KINDS, STEPS),
      '',
      'fault x act of a worker',
      this.table(MOMENTS, ACTS),
      '',
      'pause by a human x step of the paused rotation',
      this.table(PAUSE_MOMENTS, STEPS),
      '',
      ...stated.map((pair) => `never: ${pair} (${impossible(pair)})`),
      ...open.map((pair) => `MISSING: ${pair}`),
    ].join('\n')
  }
}

/** Faults that strike in an act: at one of its moments, or on its way to a server. */
const MOMENTS = [
  ...(['crash', 'pause'] as const).flatMap((kind) => ACT_POINTS.map((point) => `${kind}:${point}`)),
  ...(['ambiguous', 'throttle', 'down'] as const satisfies FaultKind[]),
]
