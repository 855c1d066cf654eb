import type { Probe } from './authority.ts'
import type { Secret } from './secret.ts'

/** How a change of keys disturbs what is served: A live memory, B file re-read, C reload, D second process, E restart. */
export const DISRUPTIONS = ['A', 'B', 'C', 'D', 'E'] as const
export type Disruption = (typeof DISRUPTIONS)[number]

export type AcceptedValue = { generation: number; keyId: string; value: Secret }

/** Use of one generation on this node. Ages, not times, because clocks differ. */
export type Usage = {
  generation: number
  inFlight: number
  /** Milliseconds since the last use; null: never used since counting began. */
  lastUseAgeMs: number | null
  requests: number
  /** Requests that were answered with an error of the server (5xx) or not at all; absent: the software does not count them. */
  failures?: number
}

/** What the agent does to the serving software of its node, for one credential. */
export interface Adapter {
  readonly kind: string
  readonly disruption: Disruption
  /** Makes the software accept exactly these values. Level-triggered: repeatable, and complete each time. */
  apply(accept: AcceptedValue[]): Promise<void>
  /** Tries a value on the node's real path. */
  tryValue(value: Secret): Promise<Probe>
  /** Counters by generation, or undefined where the software has none. */
  usage(): Promise<Usage[] | undefined>
  close(): Promise<void>
}
