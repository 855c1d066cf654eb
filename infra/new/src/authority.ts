import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const TEMPLATES = new URL('../templates/authority/', import.meta.url).pathname
const DEFINITION = 'definition.ts.template'

/** A line for the new kind in a file that lists all of them: after the last line that `after` matches. */
type Entry = { file: string; after: RegExp; line(names: Names): string }

type Names = { name: string; camel: string; Pascal: string }

const ENTRIES: Entry[] = [
  {
    file: 'packages/contracts/src/authorities/index.ts',
    after: /^import \{ \w+ \} from '\.\/[a-z-]+\.ts'$/m,
    line: ({ name, camel }) => `import { ${camel} } from './${name}.ts'`,
  },
  {
    file: 'packages/contracts/src/authorities/index.ts',
    after: /^export type \{ \w+Spec \} from .*$/m,
    line: ({ name, Pascal }) => `export type { ${Pascal}Spec } from './${name}.ts'`,
  },
  {
    file: 'services/rotator/src/authorities.ts',
    after: /^import \{.*\} from '@rekey\/backend-[a-z-]+'$/m,
    line: ({ name, camel }) => `import { ${camel}Authority } from '@rekey/backend-${name}'`,
  },
  {
    file: 'services/rotator/src/authorities.ts',
    after: /^ {4}switch \(spec\.kind\) \{$/m,
    line: ({ name, camel }) => `      case '${name}':\n        return ${camel}Authority(spec)`,
  },
  {
    file: 'services/rotator/package.json',
    after: /^ {4}"@rekey\/backend-[a-z-]+": "workspace:\*",$/m,
    line: ({ name }) => `    "@rekey/backend-${name}": "workspace:*",`,
  },
  {
    file: 'test/tidy/import-rights.unit.test.ts',
    after: /^ {2}'backend-[a-z-]+': .*$/m,
    line: ({ name }) => `  'backend-${name}': { may: ['contracts'] },`,
  },
  {
    file: 'ARCHITECTURE.md',
    after: /^\| `packages\/backend-[a-z-]+` \|.*$/m,
    line: ({ name }) => `| \`packages/backend-${name}\` | ${name} as an authority | contracts |`,
  },
  {
    file: 'docs/README.md',
    after: /^- Authority: .*$/m,
    line: ({ name }) => `- Authority: [${name}](../packages/backend-${name}/README.md)`,
  },
]

/** The list of all kinds. */
const LIST = { file: 'packages/contracts/src/authorities/index.ts', list: /(?<=AUTHORITIES = \[)[^\]]*/ }

/** What a human can mend. */
export class Refusal extends Error {}

/**
 * Makes the folder of a new kind of authority, its definition, and its lines in what lists all kinds. Changes nothing if
 * it cannot do all of it. Resolves to the paths, from the repository's root.
 */
export async function newAuthority(
  root: string,
  name: string,
): Promise<{ made: string[]; changed: string[] }> {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40)
    throw new Refusal(`"${name}" is no name of a kind: lower-case words with dashes, such as acme-api-token`)
  const names = namesOf(name)
  const folder = `packages/backend-${name}`
  const definition = `packages/contracts/src/authorities/${name}.ts`
  for (const path of [folder, definition])
    if (await stat(join(root, path)).catch(() => undefined)) throw new Refusal(`${path} is there already`)

  const files = new Map<string, string>()
  for (const template of await templates()) {
    const path =
      template === DEFINITION ? definition : join(folder, filled(template.replace(/\.template$/, ''), names))
    files.set(path, filled(await readFile(join(TEMPLATES, template), 'utf8'), names))
  }
  const lists = new Map<string, string>()
  const textOf = async (file: string) => lists.get(file) ?? (await readFile(join(root, file), 'utf8'))
  for (const entry of ENTRIES) lists.set(entry.file, withLine(await textOf(entry.file), entry, names))
  const list = await textOf(LIST.file)
  if (!LIST.list.test(list)) throw new Refusal(`${LIST.file} has no list of all kinds where one is expected`)
  lists.set(
    LIST.file,
    // A line of its own, where the list has several.
    list.replace(LIST.list, (all) => all + (all.endsWith('\n') ? `  ${names.camel},\n` : `, ${names.camel}`)),
  )

  for (const [path, text] of [...files, ...lists]) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return { made: [...files.keys()].sort(), changed: [...lists.keys()].sort() }
}

function namesOf(name: string): Names {
  const Pascal = name
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
  return { name, Pascal, camel: Pascal.charAt(0).toLowerCase() + Pascal.slice(1) }
}

function filled(text: string, names: Names): string {
  return text.replace(/\{\{(name|camel|Pascal)\}\}/g, (_, key: keyof Names) => names[key])
}

async function templates(): Promise<string[]> {
  const found = await readdir(TEMPLATES, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(TEMPLATES.length))
}

function withLine(text: string, { file, after, line }: Entry, names: Names): string {
  const last = [...text.matchAll(new RegExp(after, 'gm'))].at(-1)
  if (!last) throw new Refusal(`${file} has no line like ${after}, where the new kind would come after it`)
  const at = last.index + last[0].length
  return `${text.slice(0, at)}\n${line(names)}${text.slice(at)}`
}
