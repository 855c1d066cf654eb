import { z } from 'zod'

/** What became of one received event. Every accepted event reaches exactly one; repeats are told the first one. */
export const Verdict = z.object({
  source: z.string(),
  id: z.string(),
  verdict: z.enum([
    /** A rotation was opened for at least one credential. */
    'rotation-opened',
    /** A rotation that had not made its value yet covers this cause too. */
    'joined',
    /** A rotation is under way; exactly one follow-up will run after it. */
    'queued',
    /** Nothing in the event differs from what is known of the workload. */
    'no-change',
    /** A real change that no rule names: a finding, not silence. */
    'no-rule',
    'unknown-workload',
    /** A leak report about a credential, or a generation, that there is not. */
    'unknown-credential',
    /** A leak report that cannot be acted on as things stand: a human must. See `reason`. */
    'refused',
    /** This (source, id) was judged before with the same content. */
    'duplicate',
    /** This (source, id) was judged before with OTHER content: refused and alarmed. */
    'conflict',
    /** The record is not an event that we can read; see `reason`. It went to the dead-letter topic. */
    'rejected',
  ]),
  reason: z.string(),
  /** One entry for each credential that a rule named, or that leaked. */
  rotations: z.array(
    z.object({
      credential: z.string(),
      rotation: z.string(),
      /** Absent: a leak report asks no rule. */
      rule: z.string().optional(),
      how: z.enum(['opened', 'joined', 'queued']),
    }),
  ),
  /** ISO 8601, the ledger's clock. */
  at: z.string(),
})
export type Verdict = z.infer<typeof Verdict>
