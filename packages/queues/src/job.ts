/** A wake-up. It names an effect of the ledger, never its content; a lost or doubled one changes nothing. */
export type Job = {
  effect: string
  /** For `fleet`: the cell, at most 100 nodes connected to that instance. */
  nodes?: string[]
}
