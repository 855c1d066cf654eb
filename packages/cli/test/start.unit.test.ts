import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** What is loaded before the command line knows which verb it shall run: files of ours by URL, the rest by name. */
function loaded(url: string, found = new Set<string>()): Set<string> {
  if (found.has(url)) return found
  found.add(url)
  const text = readFileSync(fileURLToPath(url), 'utf8')
  for (const [, types, specifier = ''] of text.matchAll(
    /^(?:import|export)( type)?\b[^'"]*?from '([^']+)'$/gms,
  )) {
    if (types !== undefined || specifier.startsWith('node:')) continue
    if (specifier.startsWith('.')) loaded(new URL(specifier, url).href, found)
    else if (specifier.startsWith('@rekey/')) loaded(import.meta.resolve(specifier), found)
    else found.add(specifier)
  }
  return found
}

test('whoever holds a leaked key waits for no schemas, no YAML, no Kafka and no policies', () => {
  const all = [...loaded(new URL('../src/run.ts', import.meta.url).href)]
  expect(all.filter((one) => !one.startsWith('file:'))).toEqual(['commander'])
  const others = all.filter((one) => one.startsWith('file:') && !one.includes('/cli/src/'))
  expect(others.map((one) => one.replace(/^.*\/packages\//, '')).sort()).toEqual([
    'contracts/src/actor.ts',
    'contracts/src/errors.ts',
    'contracts/src/fingerprint.ts',
    'contracts/src/secret.ts',
  ])
})
