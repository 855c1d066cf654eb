import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The repository as these tests see it: its text files and its workspace packages. */

const root = fileURLToPath(new URL('../../', import.meta.url))

export type SourceFile = { path: string; text: string }

/** Written by tools; their length and words are not ours. */
const GENERATED = /(^|\/)(pnpm-lock\.yaml|go\.sum|go\.mod)$|^packages\/(audit|events)\/schema\/|\/test-data\//

const BINARY = /\.(png|jpg|jsa|gz|ico)$/

/** Files that are tracked, or would be by the next `git add`, and that somebody writes by hand. */
export function handwritten(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
  })
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && !GENERATED.test(path) && !BINARY.test(path) && exists(path))
    .sort()
    .map((path) => ({ path, text: read(path) }))
}

export function exists(path: string): boolean {
  return existsSync(root + path)
}

export function read(path: string): string {
  return readFileSync(root + path, 'utf8')
}

export type Manifest = {
  name: string
  description?: string
  packageManager?: string
  exports?: Record<string, unknown>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
}

export function manifest(folder: string): Manifest {
  return JSON.parse(read(`${folder}/package.json`))
}

/** Folders directly under packages, services and infra. */
export function folders(): string[] {
  return ['packages', 'services', 'infra'].flatMap((parent) =>
    readdirSync(root + parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${parent}/${entry.name}`),
  )
}

/** Folders with a package.json: `packages/core` and so on, and `test`. */
export function workspaces(): string[] {
  return [...folders(), 'test'].filter((folder) => exists(`${folder}/package.json`))
}

/** `path:line: what`, one for each line of the file that matches. */
export function findings({ path, text }: SourceFile, pattern: RegExp): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = pattern.exec(line)?.[0]
    return found === undefined ? [] : [`${path}:${index + 1}: ${found.trim()}`]
  })
}

/** What a failing test shows: the rule, and every place that breaks it. */
export function explain(rule: string, places: string[]): string {
  return `${rule}\n${places.map((place) => `  ${place}`).join('\n')}\n`
}
