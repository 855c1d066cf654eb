type Write = (fields: Record<string, unknown>, sentence: string) => void

/** The part of pino that is used: a fixed sentence, and what varies as fields. */
export type Log = { debug: Write; info: Write; warn: Write; error: Write }
