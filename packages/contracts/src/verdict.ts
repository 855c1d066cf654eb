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
    /** This (source, id) was judged before with the same content. */
    'duplicate',
    /** This (source, id) was judged before with OTHER content: refused and alarmed. */
    'conflict',
    /** The record is not an event that we can read; see `reason`. It went to the dead-letter topic. */
    'rejected',
  ]),
  reason: z.string(),
  /** One entry for each credential that a rule named. */
  rotations: z.array(
    z.object({
      credential: z.string(),
      rotation: z.string(),
      rule: z.string(),
      how: z.enum(['opened', 'joined', 'queued']),
    }),
  ),
  /** ISO 8601, the ledger's clock. */
  at: z.string(),
})
export type Verdict = z.infer<typeof Verdict>
