import { Secret } from '@rekey/contracts'
import type { Asked } from '@rekey/core'
import type { MemoryLedger } from '@rekey/testing/ledger'
import type { Place, Places } from './place.ts'
import { rulesOf, WORKLOAD } from './scenario.ts'
import type { AnyWay } from './servers/way.ts'
import { type StoreServers, storeOf } from './stores.ts'

type Begun = {
  ledger: MemoryLedger
  places: Places
  servers: StoreServers
  make: (credential: string) => string
}

/** Before anything happens: what is configured, and what is in use already. */
export async function configure(begun: Begun): Promise<void> {
  const { ledger, places } = begun
  ledger.addWorkload({ name: WORKLOAD, environment: 'prod', vendor: 'a', zone: 'a', dataset: 'a' })
  const names = [...places.keys()]
  const rules = rulesOf(names)
  for (const rule of rules) ledger.addRule(rule)
  for (const place of places.values()) await addCredential(place, begun)
  for (const { name, isAdopted, startsAtOnce } of places.values())
    if (!isAdopted && startsAtOnce) await ledger.start(name, FIRST_VALUE)
  const documents = [
    { kind: 'Workload', name: WORKLOAD },
    ...names.map((name) => ({ kind: 'Credential', name })),
    ...rules.map(({ name }) => ({ kind: 'Rule', name })),
  ]
  ledger.journalConfigured(documents, 'anna')
}

async function addCredential(
  { name, plan, isAdopted, authority }: Place,
  { ledger, servers, make }: Begun,
): Promise<void> {
  if (!isAdopted) {
    ledger.addCredential({ name, workload: WORKLOAD, plan })
    return
  }
  const value = { generation: 1, keyId: `${name}.g1`, value: Secret.of(make(name)) }
  const call = { key: 'adopted', signal: new AbortController().signal }
  const shown: Record<string, string> = {}
  for (const storeName of plan.stores) {
    const store = storeOf(servers, storeName, name, DIRECT)
    await store.stage(value, call)
    shown[storeName] = await store.promote(1, undefined, call)
  }
  authority.install(value)
  ledger.addCredential({ name, workload: WORKLOAD, plan, adopted: { generation: 1, shown } })
}

/** As a new credential that is applied asks for it. */
const FIRST_VALUE: Asked = {
  cause: { kind: 'first-value', actor: 'anna', reason: 'the credential is new' },
  mode: 'rotate',
  goal: 'replace',
  compromised: [],
}

/** For what was there before the world began: without time, and without faults. */
const DIRECT: AnyWay = {
  read: async (_bound, answer) => answer(),
  write: async (_bound, _what, change) => change(),
}
