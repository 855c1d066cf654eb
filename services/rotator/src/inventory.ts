import type { Iam, SecretsInventory } from '@rekey/backend-aws'
import type { VaultClient } from '@rekey/backend-vault'
import { type InventoryPlace, type ListedName, type ListedPlace, RekeyError } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import { Bell, type Logger, pause, retrying } from '@rekey/runtime'

/** How often somebody may have asked without our hearing of it. */
const POLL_MS = 5_000
const APART_MS = 500
/** All places together. What is not listed by then is said to be so. */
const SCAN_MS = 60_000
/** A rotator that was killed has it for so long. */
const LEASE_MS = SCAN_MS + 30_000
const NAMES_MAX = 10_000
const FOLDERS_AT_ONCE = 8
/** Where staging copies are: they belong to credentials, or to nobody that a name could tell. */
const STAGING_FOLDER = 'rekey-staging/'

export type Backends = {
  vault: Pick<VaultClient, 'kvList'>
  secrets: (region: string) => Pick<SecretsInventory, 'page'>
  iam: (region: string) => Pick<Iam, 'list'>
}

type Options = {
  ledger: Pick<Ledger, 'takeScan' | 'recordScan' | 'onEffects'>
  backends: Backends
  /** What is looked at; undefined: every mount and region that a credential names. */
  places: InventoryPlace[] | undefined
  logger: Logger
}

/** Answers who asks what the backends hold, by names alone. Beside the rotations, and never in their way. */
export function scanInventory({ ledger, backends, places, logger }: Options): { close(): Promise<void> } {
  const ending = new AbortController()
  const bell = new Bell()
  const listener = ledger.onEffects(() => bell.ring())
  const working = retrying(logger, 'scan the inventory', ending.signal, async () => {
    const taken = await ledger.takeScan(LEASE_MS)
    if (taken) {
      const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(SCAN_MS)])
      const listed: ListedPlace[] = []
      for (const place of places ?? taken.places) listed.push(await list(place, backends, signal))
      // Whoever starts next does it whole.
      if (ending.signal.aborted) return
      await ledger.recordScan(taken, listed)
      logger.info({ scan: taken.id, places: listed.length }, 'inventory scanned')
    }
    await pause(APART_MS, ending.signal)
    await bell.wait(POLL_MS, ending.signal)
  })
  return {
    async close() {
      ending.abort()
      await Promise.all([working, listener.close()])
    },
  }
}

/** All names of one place, or those that came before a fault, a bound of time or of number, which is named. */
export async function list(
  place: InventoryPlace,
  backends: Backends,
  signal: AbortSignal,
  namesMax = NAMES_MAX,
): Promise<ListedPlace> {
  const names: ListedName[] = []
  const add = (found: ListedName[]) => {
    names.push(...found.slice(0, namesMax - names.length))
    if (found.length > 0 && names.length >= namesMax)
      throw new RekeyError(
        'not_allowed_now',
        `there are ${namesMax} names or more; scan it by parts, with longer prefixes`,
      )
  }
  try {
    switch (place.kind) {
      case 'vault-kv':
        await listVault(place, backends.vault, add, signal)
        break
      case 'aws-secrets-manager':
        await listAws(place, backends.secrets(place.region), add, signal)
        break
      case 'aws-iam-access-key':
        add(await listKeys(place, backends.iam(place.region), signal))
        break
      default:
        place satisfies never
    }
    return { place, names, error: null }
  } catch (error) {
    return { place, names, error: whyOf(error, place, signal) }
  }
}

async function listVault(
  { mount, prefix }: Extract<InventoryPlace, { kind: 'vault-kv' }>,
  vault: Backends['vault'],
  add: (found: ListedName[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const root = prefix === '' ? '' : `${prefix}/`
  let folders = [root]
  while (folders.length > 0) {
    signal.throwIfAborted()
    const now = folders.slice(0, FOLDERS_AT_ONCE)
    const found = await Promise.all(
      now.map(async (folder) => {
        const entries = await vault.kvList(mount, folder.replace(/\/$/, ''), { signal })
        return entries
          .filter((entry) => !(folder === '' && entry === STAGING_FOLDER))
          .map((entry) => `${folder}${entry}`)
      }),
    )
    const all = found.flat()
    add(all.filter((entry) => !entry.endsWith('/')).map((name) => ({ name, changedAt: null })))
    folders = [...folders.slice(now.length), ...all.filter((entry) => entry.endsWith('/'))]
  }
}

async function listAws(
  { prefix }: Extract<InventoryPlace, { kind: 'aws-secrets-manager' }>,
  secrets: Pick<SecretsInventory, 'page'>,
  add: (found: ListedName[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let from: string | undefined
  do {
    signal.throwIfAborted()
    const page = await secrets.page(prefix, from, { signal })
    add(page.names)
    from = page.next
  } while (from !== undefined)
}

async function listKeys(
  { user }: Extract<InventoryPlace, { kind: 'aws-iam-access-key' }>,
  iam: Pick<Iam, 'list'>,
  signal: AbortSignal,
): Promise<ListedName[]> {
  const keys = await iam.list(user, { signal })
  return keys.map(({ id, createdAt }) => ({ name: id, changedAt: new Date(createdAt).toISOString() }))
}

/** What the rotator's identity must be allowed to. */
const RIGHT = {
  'vault-kv': (place) => `the capability list on ${place.mount}/metadata/*`,
  'aws-secrets-manager': () => 'the action secretsmanager:ListSecrets',
  'aws-iam-access-key': (place) => `the action iam:ListAccessKeys for ${place.user}`,
} satisfies {
  [K in InventoryPlace['kind']]: (place: Extract<InventoryPlace, { kind: K }>) => string
}

function rightFor(place: InventoryPlace): string {
  return (RIGHT[place.kind] as (place: InventoryPlace) => string)(place)
}

function whyOf(error: unknown, place: InventoryPlace, signal: AbortSignal): string {
  if (signal.aborted) return `not all was listed within ${SCAN_MS / 1_000} s; scan it by parts`
  if (!RekeyError.is(error)) return 'an unexpected fault; see the log of the rotator'
  if (error.code !== 'permission_denied') return `${error.code}: ${error.message}`
  return `${error.code}: ${error.message}; the rotator's identity needs ${rightFor(place)}`
}
