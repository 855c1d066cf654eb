import { globSync, readFileSync } from 'node:fs'
import { anonymousVault } from '@rekey/backend-vault'
import { AUTHORITIES, type Authority, type AuthorityAbilities } from '@rekey/contracts'
import type { KitPart } from '@rekey/testing'
import { expect, test } from 'vitest'
import { authoritiesOf } from './authorities.ts'
import { connectionsOf } from './connections.ts'

const PAGE = '../../../docs/reference/authorities.md'

const addr = 'http://vault'
const connections = connectionsOf({ dir: undefined, vaultAddr: addr, vault: anonymousVault({ addr }) })
const authorityOf = authoritiesOf(connections, 1_000)

const made = AUTHORITIES.map(({ about, schema }) => ({
  about,
  authority: authorityOf(schema.parse(about.example), {}, 'app'),
}))

const can = (ability: unknown) => (ability ? 'yes' : '–')

const ROWS: [head: string, cell: (one: Authority, about: { evidence?: string }) => string][] = [
  ['direction', ({ direction }) => direction],
  ['valid at once', ({ slots }) => String(slots)],
  ['value made by', ({ valueFrom }) => (valueFrom === 'us' ? 'Rekey' : 'the provider')],
  ['[adopts](../guides/adopt.md) a value that exists', ({ adopt }) => can(adopt)],
  ['suspend, reinstate', ({ suspend, reinstate }) => can(suspend && reinstate)],
  ['counts sessions', ({ sessions }) => can(sessions)],
  ['ends sessions', ({ endSessions }) => can(endSessions)],
  [
    'evidence of the drain',
    ({ sessions, lastUsed }, { evidence }) =>
      evidence ??
      (sessions
        ? 'observed: its sessions'
        : lastUsed
          ? 'observed: its last use'
          : 'attested: counters of the nodes'),
  ],
]

/** What each kind showed on its real server; the contract tests keep it up to date. */
const packages = new URL('../../../packages/', import.meta.url).pathname
const shown = made.flatMap(({ authority: { kind } }) =>
  globSync(`*/results/authority-${kind}.json`, { cwd: packages }).map((file) => ({
    kind,
    parts: JSON.parse(readFileSync(`${packages}${file}`, 'utf8')) as KitPart[],
  })),
)

const PARTS = [...new Set(shown.flatMap(({ parts }) => parts.map(({ part }) => part)))]

function cellOf(parts: KitPart[], name: string): string {
  const { held = 0, notAsked = {} } = parts.find(({ part }) => part === name) ?? {}
  const skipped = Object.values(notAsked).reduce((sum, count) => sum + count, 0)
  if (held === 0) return `– ${Object.keys(notAsked).join('; ')}`
  return skipped === 0 ? `${held} held` : `${held} held, ${skipped} not asked`
}

const row = (cells: string[]) => `| ${cells.join(' | ')} |`

const page = () =>
  [
    '# Authorities',
    '',
    '<!-- Written by services/rotator/src/authorities-page.unit.test.ts from what the code declares: change that, then run vitest with -u. -->',
    '',
    'An authority makes a credential valid, checks it and can end it. `spec.authority.kind` of a credential names it; its direction must be the',
    "credential's. What an authority cannot do is not simulated: a rotation goes without that step, and says so where it matters.",
    '',
    row(['', ...made.map(({ authority }) => `\`${authority.kind}\``)]),
    row(['---', ...made.map(() => '---')]),
    row(['for', ...made.map(({ about }) => about.purpose)]),
    ...ROWS.map(([head, cell]) => row([head, ...made.map(({ authority, about }) => cell(authority, about))])),
    row(['more', ...made.map(({ about }) => about.pages.join(', '))]),
    '',
    '## What each has shown',
    '',
    'The checks of [the contract kit](../../packages/testing/src/authority/kit.ts) that each outbound kind passed on its real server, and how many were not',
    'asked of it because it does not claim that ability, or because the server cannot be brought to that state in a test',
    '(`packages/*/results` has the reasons). `pnpm test` runs them all, and fails where this table says something else. What is `inbound` is',
    "held to the kit of the agent's adapters.",
    '',
    row(['', ...shown.map(({ kind }) => `\`${kind}\``)]),
    row(['---', ...shown.map(() => '---')]),
    ...PARTS.map((part) => row([part, ...shown.map(({ parts }) => cellOf(parts, part))])),
    '',
    '[How to add a kind](../guides/new-authority.md).',
    '',
  ].join('\n')

test('the page of authorities says what the code declares (vitest -u writes it)', async () => {
  await expect(page()).toMatchFileSnapshot(PAGE)
})

test('every outbound kind has shown what it can do', () => {
  const outbound = AUTHORITIES.filter(({ direction }) => direction === 'outbound')
  expect(shown.map(({ kind }) => kind)).toEqual(outbound.map(({ kind }) => kind))
})

test.each(AUTHORITIES)('$kind does what is said of it', ({ kind, direction, schema, about, abilities }) => {
  const spec = schema.parse(about.example)
  const authority = authorityOf(spec, {}, 'app')
  expect(authority).toMatchObject({ kind, direction })
  const { slots, soakMs, evidence, minted } = (abilities as (of: typeof spec) => AuthorityAbilities)(spec)
  expect({ slots, suspends: soakMs !== null, observed: evidence === 'observed', minted }).toEqual({
    slots: authority.slots,
    suspends: authority.suspend !== undefined,
    observed: authority.sessions !== undefined || authority.lastUsed !== undefined,
    minted: authority.valueFrom === 'provider' || undefined,
  })
})
