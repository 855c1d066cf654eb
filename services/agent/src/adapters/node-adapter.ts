import type { AcceptedValue, Adapter, ClientUse } from '@rekey/contracts'

/** What a dead value is known by: SHA-256 of its bytes, as 64 hexadecimal digits. */
export type Grave = { keyId: string; digest: string }

/** What an adapter of this agent may offer on top of the contract. */
export interface NodeAdapter extends Adapter {
  /** Whether `tryValue` can give a clear answer at all. Without it an ack says `unknown`, and is not repeated. */
  readonly canTry: boolean
  /** Whether the software still holds exactly what `apply` gave it; false after a restart or a foreign hand. */
  holds?(accept: AcceptedValue[]): Promise<boolean>
  /** How long the counters have been counting: since the software's start. */
  countingAgeMs?(): Promise<number>
  /**
   * Drops generations without knowing any value. This is for what must be refused at once, while the values of the
   * others are still being read, or cannot be: what is accepted stays as it is.
   */
  drop?(generations: number[]): Promise<void>
  /** Who used the accepted generations, by address; undefined: the software does not count them. */
  clients?(): Promise<ClientUse[] | undefined>
  /**
   * Makes the software notice requests with exactly these values, which it refuses as before. Level-triggered. False: the
   * software is not set up for it, and goes on without.
   */
  bury?(graves: Grave[]): Promise<boolean>
  /** Who presented a buried value. */
  knocks?(): Promise<ClientUse[] | undefined>
}
