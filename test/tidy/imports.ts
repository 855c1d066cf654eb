import { posix } from 'node:path'
import type { SourceFile } from './repository.ts'

export type Import = {
  /** The file that imports, and the workspace folder that it lies in. */
  from: string
  folder: string
  specifier: string
  /** Nothing of it is left when types are stripped. */
  typeOnly: boolean
  /** Imported by tests only, or by what only tests use. */
  inTest: boolean
}

/** `import … from 'x'`, `export … from 'x'`, `import 'x'` and `import('x')`. */
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(?<typeOnly>type\s)?[^'"`;]*?\bfrom\s+'(?<from>[^'\n]+)'|(?:^|\n)\s*import\s+'(?<bare>[^'\n]+)'|\bimport\(\s*'(?<dynamic>[^'\n]+)'\s*\)/g

/** By convention: test files, what lies in a `test` folder, and builders named `given`. */
const TEST = /\.test\.ts$|(^|\/)test\/|\/given[^/]*\.ts$/

export function importsOf({ path, text }: SourceFile): Import[] {
  const folder = path.startsWith('test/') ? 'test' : path.split('/').slice(0, 2).join('/')
  return [...text.matchAll(IMPORT)].map(({ groups = {} }) => ({
    from: path,
    folder,
    specifier: groups.from ?? groups.bare ?? groups.dynamic ?? '',
    typeOnly: groups.typeOnly !== undefined,
    inTest: folder === 'test' || TEST.test(path),
  }))
}

/** `@rekey/audit/validator` → `@rekey/audit` and `./validator`; undefined where it is no package of ours. */
export function ownPackage(specifier: string): { name: string; entry: string } | undefined {
  const [scope, name, ...rest] = specifier.split('/')
  if (scope !== '@rekey' || name === undefined) return undefined
  return { name: `${scope}/${name}`, entry: rest.length > 0 ? `./${rest.join('/')}` : '.' }
}

/** Where a relative import leads, from the root of the repository. */
export function target({ from, specifier }: Import): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined
}
