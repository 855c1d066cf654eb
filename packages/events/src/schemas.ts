import { z } from 'zod'
import { isPlainText } from './text.ts'

/** Schemas of the events that are changes: CDEvents 0.5.1 and 0.4.1 after their own JSON Schemas, and ours. */

const text = (max: number) =>
  z.string().min(1).max(max).refine(isPlainText, 'holds control or invalid characters')

const id = text(512)
const reference = text(1024)
const uri = z.url().max(2048)

/** As long as the same fields of a Workload document may be. */
const ARTIFACT = text(500)
const FACT = text(200)
const WORKLOAD = text(200)
const ENVIRONMENT = text(200)

/** What CDEvents has no field for. Under one name, so that nobody else's custom data is taken for ours. */
const rekeyData = z.strictObject({
  workload: WORKLOAD.optional(),
  vendor: FACT.optional(),
  dataset: FACT.optional(),
  zone: FACT.optional(),
})
const looseCustomData = z.union([z.string(), z.looseObject({ rekey: rekeyData.optional() })])

const context = {
  id,
  source: reference,
  type: id,
  timestamp: z.iso.datetime({ offset: true }),
  schemaUri: uri.optional(),
  chainId: id.optional(),
  links: z.array(z.record(z.string(), z.unknown())).max(1000).optional(),
}
const context05 = z.strictObject({ specversion: z.literal('0.5.1'), ...context })
const context04 = z.strictObject({ version: z.literal('0.4.1'), ...context })

const serviceContent = z.strictObject({
  environment: z.strictObject({ id: ENVIRONMENT, source: reference.optional() }),
  artifactId: ARTIFACT,
})
const customDataContentType = z.string().max(200).optional()

export const service05 = z.strictObject({
  context: context05,
  subject: z.strictObject({ id: WORKLOAD, source: reference.optional(), content: serviceContent }),
  customData: looseCustomData.optional(),
  customDataContentType,
})
export const service04 = z.strictObject({
  context: context04,
  subject: z.strictObject({
    id: WORKLOAD,
    source: reference.optional(),
    type: z.literal('service'),
    content: serviceContent,
  }),
  customData: looseCustomData.optional(),
  customDataContentType,
})
export type ServiceEvent = z.infer<typeof service05> | z.infer<typeof service04>

/** The subject is the environment; which workload it is about must be said, since CDEvents has no field for it. */
const namesWorkload = z.looseObject({ rekey: rekeyData.required({ workload: true }) })

export const environment05 = z.strictObject({
  context: context05,
  subject: z.strictObject({
    id: ENVIRONMENT,
    source: reference.optional(),
    content: z.strictObject({ name: z.string().max(200).optional(), uri: uri.optional() }),
  }),
  customData: namesWorkload,
  customDataContentType,
})
export const environment04 = z.strictObject({
  context: context04,
  subject: z.strictObject({
    id: ENVIRONMENT,
    source: reference.optional(),
    type: z.literal('environment'),
    content: z.strictObject({
      name: z.string().max(200).optional(),
      url: uri.optional(),
      uri: uri.optional(),
    }),
  }),
  customData: namesWorkload,
  customDataContentType,
})
export type EnvironmentEvent = z.infer<typeof environment05> | z.infer<typeof environment04>

/** Our own: a fact of a workload in an environment. */
const workloadEvent = <F extends 'vendor' | 'dataset' | 'zone'>(field: F) =>
  z.strictObject({
    context: context05.extend({ type: z.literal(`dev.cdeventsx.rekey-workload.${field}changed.0.1.0`) }),
    subject: z.strictObject({
      id: WORKLOAD,
      source: reference.optional(),
      content: z.strictObject({ environment: ENVIRONMENT, [field]: FACT } as {
        environment: typeof ENVIRONMENT
      } & Record<F, typeof FACT>),
    }),
    customData: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
    customDataContentType,
  })

const leakContent = {
  /** Which value; without it, what was in use at the time. `rekey who` tells it. */
  generation: z.number().int().min(1).max(1e9).optional(),
  /** Where it was seen, such as the address of a finding. */
  where: text(500),
}
/** As Vault writes an HMAC-SHA256. Nothing else has this shape, least of all a value that somebody put here by mistake. */
const FINGERPRINT = z.string().regex(/^vault:v\d{1,6}:[A-Za-z0-9+/]{43}=$/)

/** Our own: somebody saw a credential's value where it should not be. Never the value itself. */
export const leaked01 = z.strictObject({
  context: context05.extend({ type: z.literal('dev.cdeventsx.rekey-credential.leaked.0.1.0') }),
  subject: z.strictObject({
    /** The credential's name. */
    id: text(63),
    source: reference.optional(),
    content: z.strictObject(leakContent),
  }),
  customData: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  customDataContentType,
})

/** The same by somebody who may know a fingerprint, and no name. */
export const leaked02 = z.strictObject({
  ...leaked01.shape,
  context: context05.extend({ type: z.literal('dev.cdeventsx.rekey-credential.leaked.0.2.0') }),
  subject: z.strictObject({
    /** The credential's name, or what the reporter calls its finding. */
    id: text(512),
    source: reference.optional(),
    content: z.strictObject({ ...leakContent, fingerprint: FINGERPRINT.optional() }),
  }),
})

export const vendorChanged = workloadEvent('vendor')
export const datasetChanged = workloadEvent('dataset')
export const zoneChanged = workloadEvent('zone')
