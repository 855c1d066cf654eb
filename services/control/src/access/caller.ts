import type { Principal } from '@rekey/policy'
import { ControlProblem } from '../problem.ts'

/** Who makes a request, as far as its way in can know. */
export type Caller = Principal & {
  /** As the journal names them; undefined: an operator who told no name. */
  actor: string | undefined
  /** Of a break-glass token: its name. */
  token?: string
}

/** What the journal and Cedar take as a name: what an issuer writes into `sub`, and no more. */
export const PRINTABLE = /^[\x21-\x7e]{1,255}$/

/** An operator who told no name; no name begins like this. */
const NAMELESS = '-'

/**
 * Whoever has the shared token. The name is believed as it is told, because everybody who has that token may act for
 * everybody.
 */
export function operator(name: unknown): Caller {
  if (name === undefined) return { type: 'Operator', id: NAMELESS, actor: undefined }
  if (typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(name))
    return { type: 'Operator', id: name, actor: `operator/${name}` }
  throw new ControlProblem(
    'malformed_request',
    'headers.x-rekey-actor: letters, digits and . _ @ - (at most 64)',
  )
}
