import type { z } from 'zod'
import type { NodeAdapter } from './node-adapter.ts'

/**
 * A kind of adapter: everything that the agent knows about it. A new one is a folder that exports its definition, and its
 * lines in registry.ts.
 */
export type AdapterDefinition<Schema extends z.ZodType> = {
  /** A strict object with `credential` and `kind`. */
  config: Schema
  /**
   * What it writes to, in words: two adapters that claim the same would overwrite each other at every change. Asked of the
   * resolved configuration.
   */
  claims(config: z.infer<Schema>): string[]
  /** The configuration with paths that start at the folder of the agent's file: `at` makes one of them. */
  resolved(config: z.infer<Schema>, at: (path: string) => string): z.infer<Schema>
  make(config: z.infer<Schema>): NodeAdapter
}

/** Only for its types: the schema says what the rest is given. */
export function defineAdapter<Schema extends z.ZodType>(
  definition: AdapterDefinition<Schema>,
): AdapterDefinition<Schema> {
  return definition
}
