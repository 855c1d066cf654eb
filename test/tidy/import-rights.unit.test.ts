import { expect, test } from 'vitest'
import { type Import, importsOf, ownPackage, target } from './imports.ts'
import { explain, handwritten, manifest, workspaces } from './repository.ts'

/**
 * Who may import whom, by package name, as ARCHITECTURE.md states it under "Folders". `types`: only `import type`.
 * Tests may also use what is listed in their package's devDependencies, but never a service.
 */
const PACKAGES: Record<string, { may: string[]; types?: string[] }> = {
  core: { may: [] },
  contracts: { may: [] },
  events: { may: ['contracts', 'core'] },
  audit: { may: ['contracts', 'core'] },
  ledger: { may: ['contracts', 'core'] },
  policy: { may: ['contracts'] },
  queues: { may: ['runtime'] },
  notify: { may: ['contracts', 'core'], types: ['ledger'] },
  runtime: { may: ['contracts'] },
  testing: { may: ['contracts', 'core'] },
  'backend-vault': { may: ['contracts'] },
  'backend-aws': { may: ['contracts'] },
  'backend-postgres': { may: ['contracts'] },
  'backend-redis-acl-pair': { may: ['contracts'] },
  cli: { may: ['contracts', 'core', 'events', 'policy'], types: ['ledger'] },
}

const imports = handwritten()
  .filter(({ path }) => path.endsWith('.ts') && /^(packages|services|infra|test)\//.test(path))
  .flatMap(importsOf)
const names = new Map(workspaces().map((folder) => [manifest(folder).name, folder]))

const say = ({ from, specifier }: Import) => `${from} imports ${specifier}`
const refused = (rule: string, bad: Import[]) => expect(bad, explain(rule, bad.map(say))).toEqual([])

test('every package has its import rights stated here', () => {
  const found = workspaces()
    .filter((folder) => folder.startsWith('packages/'))
    .map((folder) => folder.slice('packages/'.length))
  expect(found.sort()).toEqual(Object.keys(PACKAGES).sort())
})

test('packages import only what they may', () => {
  const bad = imports.filter((one) => {
    const rights = PACKAGES[one.folder.replace('packages/', '')]
    const own = ownPackage(one.specifier)
    if (!rights || !own || one.inTest || !one.folder.startsWith('packages/')) return false
    const short = own.name.replace('@rekey/', '')
    return !rights.may.includes(short) && !(one.typeOnly && rights.types?.includes(short))
  })
  refused('A package imports only the packages that ARCHITECTURE.md lists for it.', bad)
})

test('core imports nothing but its own files', () => {
  const bad = imports.filter(
    (one) => one.folder === 'packages/core' && !one.inTest && !one.specifier.startsWith('.'),
  )
  refused('packages/core has no dependency: no npm package, no Node module, no package of ours.', bad)
})

test('nobody imports a service', () => {
  const bad = imports.filter((one) => {
    const folder = names.get(ownPackage(one.specifier)?.name ?? '')
    return folder?.startsWith('services/') && folder !== one.folder
  })
  refused('A service is a process, not a library: move what is shared into a package.', bad)
})

test('what faces the internet can reach neither the ledger nor what stands behind it', () => {
  const declared = Object.keys(manifest('services/webhooks').dependencies ?? {})
  const refused = ['ledger', 'queues', 'backend-aws', 'policy'].map((name) => `@rekey/${name}`)
  expect(declared.filter((name) => refused.includes(name) || name === 'pg')).toEqual([])
})

test('packages and services do not depend on infra, but for their tests', () => {
  const bad = imports.filter(
    (one) =>
      !one.inTest &&
      !one.folder.startsWith('infra/') &&
      names.get(ownPackage(one.specifier)?.name ?? '')?.startsWith('infra/'),
  )
  refused('infra starts servers and services; nothing that is shipped knows of it.', bad)
})

/**
 * The simulation lives through what a worker really does, and a played node answers as an agent really would: both need
 * that code itself, and not a copy. Adapters are measured at the gateways at which the agent's own tests work.
 */
const REACHES_INTO = [
  { from: 'test/simulation/rotator-code.ts', folder: 'services/rotator/' },
  { from: 'test/fleet/agent-code.ts', folder: 'services/agent/' },
  { from: 'test/bench/adapters/agent-bench.ts', folder: 'services/agent/test/' },
]

test('a relative import stays in its package', () => {
  const bad = imports.filter((one) => {
    const path = target(one)
    if (REACHES_INTO.some(({ from, folder }) => one.from === from && path?.startsWith(folder))) return false
    return path !== undefined && path !== one.folder && !path.startsWith(`${one.folder}/`)
  })
  refused("Import another package by its name, never by a path into its 'src'.", bad)
})

test('a package is imported through its exports', () => {
  const bad = imports.filter((one) => {
    const own = ownPackage(one.specifier)
    const folder = own && names.get(own.name)
    if (!own) return false
    return folder === undefined || !Object.hasOwn(manifest(folder).exports ?? {}, own.entry)
  })
  refused('Only what a package.json names under "exports" can be imported.', bad)
})

test('every import of a package of ours is declared', () => {
  const bad = imports.filter((one) => {
    const own = ownPackage(one.specifier)
    if (!own) return false
    const { name, dependencies = {}, devDependencies = {} } = manifest(one.folder)
    if (own.name === name) return false
    return !(own.name in dependencies) && !(one.inTest && own.name in devDependencies)
  })
  refused("Add it to the package.json: 'dependencies', or 'devDependencies' where only tests use it.", bad)
})

test('packages do not depend on each other in a circle', () => {
  const circles: string[] = []
  const visit = (folder: string, path: string[]) => {
    if (path.includes(folder)) {
      circles.push([...path.slice(path.indexOf(folder)), folder].join(' → '))
      return
    }
    for (const name of Object.keys(manifest(folder).dependencies ?? {})) {
      const next = names.get(name)
      if (next) visit(next, [...path, folder])
    }
  }
  for (const folder of names.values()) visit(folder, [])
  expect(circles, explain('These packages need each other.', circles)).toEqual([])
})

test('the scanner sees every way of importing', () => {
  const text = [
    "import { a } from '@rekey/a'",
    "import type { b } from '@rekey/b'",
    "export * from './c.ts'",
    "import '@rekey/d'",
    "const e = await import('./e.ts')",
    'import {',
    '  f,',
    "} from '../f.ts'",
  ].join('\n')
  const seen = importsOf({ path: 'packages/x/src/y.ts', text })
  expect(seen.map((one) => one.specifier)).toEqual([
    '@rekey/a',
    '@rekey/b',
    './c.ts',
    '@rekey/d',
    './e.ts',
    '../f.ts',
  ])
  expect(seen.map((one) => one.typeOnly)).toEqual([false, true, false, false, false, false])
})
