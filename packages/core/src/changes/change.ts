/** An incoming fact about a deployment or environment, in our own words. */
export type Change = {
  type:
    | 'service.deployed'
    | 'service.upgraded'
    | 'environment.modified'
    | 'vendorchanged'
    | 'datasetchanged'
    | 'zonechanged'
  /** The workload's name, as in its document. */
  workload: string
  environment?: string
  /** What the event says about the workload now. */
  facts: Partial<Record<Fact, string>>
  /** When it was so by the emitter's clock, milliseconds since the epoch. Absent: now. */
  at?: number
}

export type Fact = 'artifact' | 'vendor' | 'dataset' | 'zone'

/** What the inventory knows of a workload. */
export type KnownWorkload = {
  name: string
  environment: string
  /** When each of them was last said to be so. What comes late and says something older changes nothing. */
  since?: Partial<Record<Fact | 'environment', number>>
} & Partial<Record<Fact, string>>

export type Rule = {
  name: string
  when: { change: Change['type'][]; workload?: string; environment?: string }
  /** Names of credentials. */
  rotate: string[]
}
