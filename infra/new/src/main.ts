import { parseArgs } from 'node:util'
import { newAuthority, Refusal } from './authority.ts'

const USAGE = `Usage: pnpm new authority NAME

Makes the folder packages/backend-NAME with a contract test, the definition of the kind, and its lines in what lists all
kinds. docs/guides/new-authority.md goes through what comes next.

  NAME   the kind, as credentials name it: lower-case words with dashes, such as acme-api-token`

const root = new URL('../../../', import.meta.url).pathname

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  })
  const [what, name, ...more] = positionals
  if (values.help) console.log(USAGE)
  else if (what !== 'authority' || name === undefined || more.length > 0) throw new Refusal(USAGE)
  else {
    const { made, changed } = await newAuthority(root, name)
    console.log(`Made:\n${list(made)}\n\nChanged:\n${list(changed)}\n`)
    console.log(`Next:
  pnpm install && pnpm format
  node_modules/.bin/vitest run packages/backend-${name}      # red, until it keeps the contract
  node_modules/.bin/vitest run authorities-page -u            # its column in docs/reference/authorities.md
  docs/guides/new-authority.md`)
  }
} catch (error) {
  const isUsage = error instanceof Refusal || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  if (!isUsage) throw error
  console.error((error as Error).message)
  process.exitCode = 2
}

function list(paths: string[]): string {
  return paths.map((path) => `  ${path}`).join('\n')
}
