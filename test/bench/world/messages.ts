/** Between this benchmark and the rotator that it has started. */

/** The nodes refuse these key ids from now on. */
export type ToRotator = { refuse: string[] }

/** An act began: the first call of an effect reached its store. `at` is this machine's monotonic clock, nanoseconds. */
export type FromRotator = { began: string; at: string }
