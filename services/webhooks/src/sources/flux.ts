import type { Change } from '@rekey/core'
import { z } from 'zod'
import { defineSource, distinct, fields, Is, is, word } from '../source.ts'

/** An event of the notification-controller, as its provider `generic-hmac` posts it. */
const FluxEvent = z.object({
  involvedObject: z.object({ kind: is.text(63), namespace: is.text(63), name: is.text(253) }),
  severity: z.string().max(40),
  reason: z.string().max(200),
  timestamp: is.time,
  metadata: z.record(z.string(), z.unknown()).nullish(),
})

/** Reasons that say that something runs now which may not have run before. */
const DONE: Record<string, Change['type']> = {
  'Kustomization ReconciliationSucceeded': 'service.deployed',
  'HelmRelease InstallSucceeded': 'service.deployed',
  'HelmRelease UpgradeSucceeded': 'service.upgraded',
  'HelmRelease RollbackSucceeded': 'service.deployed',
}

export const flux = defineSource({
  name: 'flux',
  proof: { by: 'hmac', header: 'x-signature' },
  settings: {
    objects: z
      .array(
        z.strictObject({
          kind: z.enum(['Kustomization', 'HelmRelease']),
          namespace: z.string().min(1).max(63),
          name: z.string().min(1).max(253),
          is: Is,
        }),
      )
      .superRefine(distinct((entry) => `${entry.kind} ${entry.namespace}/${entry.name}`))
      .default([]),
  },
  hear({ body }, { objects }) {
    const { involvedObject, severity, reason, timestamp: at, metadata } = fields(FluxEvent, body)
    const { kind, namespace, name } = involvedObject
    const done = `${kind} ${reason}`
    const type = Object.hasOwn(DONE, done) ? DONE[done] : undefined
    if (type === undefined || severity !== 'info')
      return { kind: 'ignored', why: `${word(reason)} of a ${word(kind)} deploys nothing` }
    const entry = objects.find((one) => one.kind === kind && one.namespace === namespace && one.name === name)
    const full = `${kind}/${namespace}/${name}`
    if (!entry) return { kind: 'ignored', why: `no workload is configured for ${word(full)}` }
    const revision = is.text(500).safeParse(revisionIn(metadata ?? {}))
    if (!revision.success) return { kind: 'ignored', why: `${word(full)} has no revision` }
    return {
      kind: 'change',
      change: { type, ...entry.is, facts: { artifact: revision.data } },
      origin: { source: `/flux/${encodeURI(full)}`, name: `${reason}/${at.toISOString()}`, at },
    }
  },
})

/** Under its controller's name, or bare, as older releases of the notification-controller sent it. */
function revisionIn(metadata: Record<string, unknown>): unknown {
  const [key] = Object.keys(metadata).filter(
    (name) => name === 'revision' || name.endsWith('.toolkit.fluxcd.io/revision'),
  )
  return key === undefined ? undefined : metadata[key]
}
