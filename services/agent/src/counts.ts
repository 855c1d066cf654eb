/** What serving software has counted of one generation or key. */
export type Counts = { requests: number; failures: number }

export const NONE: Counts = { requests: 0, failures: 0 }

export const sum = (a: Counts, b: Counts): Counts => ({
  requests: a.requests + b.requests,
  failures: a.failures + b.failures,
})
