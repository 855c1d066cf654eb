/** A record as kafkajs delivers it: a header is a Buffer, or an array where the name came more than once. */
export type IncomingRecord = {
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | string | (Buffer | string)[] | undefined>
}

/** A record as kafkajs sends it. */
export type OutgoingRecord = { key: string; value: string; headers: Record<string, string> }
