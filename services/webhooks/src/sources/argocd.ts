import { z } from 'zod'
import { defineSource, distinct, fields, Is, is, word } from '../source.ts'

/** What the template in examples/webhooks makes of an Application. Argo CD has no form of its own. */
const Sync = z.object({
  application: is.text(253),
  namespace: is.text(63),
  phase: z.string().max(40),
  revision: is.text(500),
  finishedAt: is.time,
})

/** It signs nothing, so it shows a token, over TLS. */
export const argocd = defineSource({
  name: 'argocd',
  proof: { by: 'bearer' },
  settings: {
    applications: z
      .array(
        z.strictObject({
          application: z.string().min(1).max(253),
          /** The Application's own, not that of what it deploys. */
          namespace: z.string().min(1).max(63).default('argocd'),
          is: Is,
        }),
      )
      .superRefine(distinct((entry) => `${entry.namespace}/${entry.application}`))
      .default([]),
  },
  hear({ body }, { applications }) {
    const { application, namespace, phase, revision, finishedAt: at } = fields(Sync, body)
    if (phase !== 'Succeeded')
      return { kind: 'ignored', why: `a sync that is ${word(phase)} changed nothing` }
    const entry = applications.find((one) => one.application === application && one.namespace === namespace)
    const full = `${namespace}/${application}`
    if (!entry) return { kind: 'ignored', why: `no workload is configured for the application ${word(full)}` }
    // Go writes this where an application has several sources, and no one revision.
    if (revision === '<no value>') return { kind: 'ignored', why: `${word(full)} has no revision` }
    return {
      kind: 'change',
      change: { type: 'service.deployed', ...entry.is, facts: { artifact: revision } },
      origin: { source: `/argocd/${encodeURI(full)}`, name: `sync/${at.toISOString()}`, at },
    }
  },
})
