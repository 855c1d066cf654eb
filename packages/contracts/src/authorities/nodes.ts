import { z } from 'zod'
import { Name } from '../fields.ts'
import { defineAuthority } from './definition.ts'

/** An endpoint on the real path, at which the prober tries keys. */
const EndpointSpec = z.strictObject({
  name: Name,
  url: z.url({ protocol: /^https?$/ }),
})

const schema = z.strictObject({
  kind: z.literal('nodes'),
  endpoints: z.array(EndpointSpec).min(1),
  /** The only answers that count as a refusal. */
  refusals: z.array(z.number().int().min(400).max(499)).min(1).default([401, 403]),
})
export type NodesAuthoritySpec = z.infer<typeof schema>

/** The serving nodes verify the key themselves: Rekey makes the value. */
export const nodes = defineAuthority({
  kind: 'nodes',
  direction: 'inbound',
  schema,
  identity: [],
  // Nodes hold two generations at once, refuse within the wave, and cannot suspend.
  abilities: () => ({ slots: 2, soakMs: null, refusalLagMs: 0 }),
  through: () => undefined,
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'an API key that the serving nodes check themselves',
    pages: ['[rotation](rotation.md)'],
    example: { kind: 'nodes', endpoints: [{ name: 'gw', url: 'http://gw/' }] },
  },
})
