import type { ClientUseView, KnocksView, Owned } from '@rekey/ledger'

/** Lines of a sheet. */
type Fields = [string, string][]

const LINES_MAX = 10

/** By whom a value is used, or was before it died: who is not declared stands first and is marked. */
export function usedBy({ clients, dead }: Owned): Fields {
  // A control of the release before does not say.
  if (!clients) return []
  const name = dead ? 'was used by' : 'used by'
  const { declared, seen } = clients
  if (seen.length === 0) return [[name, 'not known: no node says so']]
  const strangers = declared.length === 0 ? [] : seen.filter((use) => use.client === null)
  const ordered = [...strangers, ...seen.filter((use) => !strangers.includes(use))]
  return [
    ...lines(
      name,
      ordered.map((use) => `${whose(use, declared.length > 0)}, ${ofUse(use)}`),
    ),
    ...(declared.length === 0 ? NONE_DECLARED : []),
  ]
}

/** Who still tries a dead one, and how much of the fleet could notice it. */
export function knocksSince({ knocks, clients }: Owned): Fields {
  if (!knocks) return []
  const { requests, lastAt, from, watchedBy, notWatchedBy } = knocks
  const isDeclared = (clients?.declared ?? []).length > 0
  if (requests === 0)
    return [
      ['knocks since', watchedBy.length === 0 ? 'not known: no node could notice one' : 'none'],
      ...blind(watchedBy, notWatchedBy),
    ]
  return [
    ['knocks since', `${requests}, the last ${lastAt}`],
    ...lines(
      'knocked',
      from.map((k) => `${whose(k, isDeclared)}, ${ofKnock(k)}`),
    ),
    ...(isDeclared ? [] : NONE_DECLARED),
    ...blind(watchedBy, notWatchedBy),
  ]
}

const NONE_DECLARED: Fields = [['clients', 'none are declared, so nobody is known or unknown']]

function whose({ client, address }: { client: string | null; address: string }, isDeclared: boolean): string {
  if (client !== null) return `${client} (${address})`
  return isDeclared ? `UNKNOWN ${address}` : address
}

function ofUse({ node, lastUsedAt, requests }: ClientUseView): string {
  return `${lastUsedAt} at ${node}, ${count(requests)}`
}

function ofKnock({ nodes, lastAt, requests }: KnocksView['from'][number]): string {
  return `${count(requests)} at ${nodes.join(', ')}, the last ${lastAt}`
}

const count = (requests: number) => `${requests} request${requests === 1 ? '' : 's'}`

/** Where some notice and others do not, silence says little. */
function blind(watchedBy: string[], notWatchedBy: string[]): Fields {
  if (watchedBy.length === 0 || notWatchedBy.length === 0) return []
  return [['not noticed at', notWatchedBy.join(', ')]]
}

function lines(name: string, texts: string[]): Fields {
  const shown = texts.slice(0, LINES_MAX).map((text, at): [string, string] => [at === 0 ? name : '', text])
  const left = texts.length - shown.length
  return left > 0 ? [...shown, ['', `and ${left} more; --json has them`]] : shown
}
