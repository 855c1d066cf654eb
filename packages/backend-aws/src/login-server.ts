import type { Call, ProbeResult, Secret } from '@rekey/contracts'

/** What the users of a secret are good for, on the server where they log in. */
export type LoginServer = {
  /** Tries a value at each endpoint. Whatever it sees is a verdict: it throws nothing. */
  probe(value: Secret, call: Call): Promise<ProbeResult[]>
  /** Sessions of a user that are open, our own aside. */
  sessions(user: string, call: Call): Promise<number>
  endSessions(user: string, call: Call): Promise<void>
}
