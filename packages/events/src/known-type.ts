import type { Change, Leak } from '@rekey/core'
import type { z } from 'zod'
import * as schemas from './schemas.ts'
import { toEnvironmentChange, toLeak, toServiceChange, toWorkloadChange } from './translation.ts'

/** One version of one event type that is a change, or the report of a leak: how to check its data, and how to read it. */
export type KnownType = { cdevents: '0.5.1' | '0.4.1'; read: (data: unknown) => Read }
type Read = { ok: true; change: Change | Leak } | { ok: false; error: z.ZodError }

function known<S extends z.ZodType>(
  cdevents: KnownType['cdevents'],
  schema: S,
  translate: (data: z.infer<S>) => Change | Leak,
): KnownType {
  return {
    cdevents,
    read: (data) => {
      const parsed = schema.safeParse(data)
      return parsed.success
        ? { ok: true, change: translate(parsed.data) }
        : { ok: false, error: parsed.error }
    },
  }
}

/** By the type without its version, then by version. The newest version, which we send, comes first. */
export const KNOWN_TYPES: Record<string, Record<string, KnownType>> = {
  'dev.cdevents.service.deployed': {
    '0.3.0': known('0.5.1', schemas.service05, (data) => toServiceChange('service.deployed', data)),
    '0.2.0': known('0.4.1', schemas.service04, (data) => toServiceChange('service.deployed', data)),
  },
  'dev.cdevents.service.upgraded': {
    '0.3.0': known('0.5.1', schemas.service05, (data) => toServiceChange('service.upgraded', data)),
    '0.2.0': known('0.4.1', schemas.service04, (data) => toServiceChange('service.upgraded', data)),
  },
  'dev.cdevents.environment.modified': {
    '0.3.0': known('0.5.1', schemas.environment05, toEnvironmentChange),
    '0.2.0': known('0.4.1', schemas.environment04, toEnvironmentChange),
  },
  'dev.cdeventsx.rekey-workload.vendorchanged': {
    '0.1.0': known('0.5.1', schemas.vendorChanged, (data) => toWorkloadChange('vendorchanged', data.subject)),
  },
  'dev.cdeventsx.rekey-workload.datasetchanged': {
    '0.1.0': known('0.5.1', schemas.datasetChanged, (data) =>
      toWorkloadChange('datasetchanged', data.subject),
    ),
  },
  'dev.cdeventsx.rekey-workload.zonechanged': {
    '0.1.0': known('0.5.1', schemas.zoneChanged, (data) => toWorkloadChange('zonechanged', data.subject)),
  },
  'dev.cdeventsx.rekey-credential.leaked': {
    '0.2.0': known('0.5.1', schemas.leaked02, (data) => toLeak(data.subject)),
    '0.1.0': known('0.5.1', schemas.leaked01, (data) => toLeak(data.subject)),
  },
}
