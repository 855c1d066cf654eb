import type { Change, Fact, Leak } from '@rekey/core'
import type { EnvironmentEvent, ServiceEvent } from './schemas.ts'

/** From checked events to changes: which field of which event means what. */

/** The workload is the subject, unless `customData.rekey.workload` says how Rekey knows it. */
export function toServiceChange(
  type: 'service.deployed' | 'service.upgraded',
  { subject, customData }: ServiceEvent,
): Change {
  const { workload = subject.id, ...facts } = (typeof customData === 'object' && customData.rekey) || {}
  return {
    type,
    workload,
    environment: subject.content.environment.id,
    facts: defined({ artifact: subject.content.artifactId, ...facts }),
  }
}

export function toEnvironmentChange({ subject, customData }: EnvironmentEvent): Change {
  const { workload, ...facts } = customData.rekey
  return { type: 'environment.modified', workload, environment: subject.id, facts: defined(facts) }
}

export function toWorkloadChange(
  type: 'vendorchanged' | 'datasetchanged' | 'zonechanged',
  subject: { id: string; content: { environment: string } & Partial<Record<Fact, string>> },
): Change {
  const { environment, ...facts } = subject.content
  return { type, workload: subject.id, environment, facts: defined(facts) }
}

export function toLeak({
  id,
  content: { generation, where, fingerprint },
}: {
  id: string
  content: { generation?: number | undefined; where: string; fingerprint?: string | undefined }
}): Leak {
  return {
    type: 'credential.leaked',
    credential: id,
    where,
    ...(generation !== undefined && { generation }),
    ...(fingerprint !== undefined && { fingerprint }),
  }
}

/** zod types an optional field as `string | undefined`; a fact is there or not. */
function defined(facts: Partial<Record<Fact, string | undefined>>): Change['facts'] {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}
