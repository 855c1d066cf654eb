import { type UsesReport, UsesReport as UsesReportSchema } from '../../authorizer/admin.ts'
import { EntriesJson, type Part } from '../../authorizer/keys.ts'
import type { Entries } from '../key-map.ts'
import { localRequest } from '../local-request.ts'

/** What the agent tells and asks one authorizer, about one credential. */
export function authorizerClient(socketPath: string, credential: string) {
  const exchange = (method: 'GET' | 'PUT', what: Part | 'uses', body?: string) => {
    const path = `/credentials/${credential}/${what}`
    return localRequest(`authorizer at ${socketPath}`, { socketPath }, method, path, body)
  }

  return {
    async entries(part: Part): Promise<Entries> {
      return EntriesJson.parse(JSON.parse(await exchange('GET', part)))
    },
    async swap(part: Part, entries: Entries): Promise<void> {
      await exchange('PUT', part, JSON.stringify(Object.fromEntries(entries)))
    },
    async uses(): Promise<UsesReport> {
      return UsesReportSchema.parse(JSON.parse(await exchange('GET', 'uses')))
    },
  }
}
