import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Document, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml'
import { Complaint } from './complaint.ts'
import type { ControlError } from './control-error.ts'
import type { Terminal } from './terminal.ts'

/** One YAML document, and where each of its fields stands. */
export type SourceDocument = { value: unknown; placeOf(field: string): string }

/** Reads files, folders (every .yaml and .yml below them) and `-` for stdin. Nothing is sent if anything cannot be read. */
export async function readSources(paths: string[], terminal: Terminal): Promise<SourceDocument[]> {
  const texts: { file: string; text: string }[] = []
  for (const path of paths) {
    if (path === '-')
      texts.push({ file: 'stdin', text: Buffer.from(await terminal.input()).toString('utf8') })
    else for (const file of filesOf(path)) texts.push({ file, text: readText(file) })
  }
  const faults: string[] = []
  const sources = texts.flatMap(({ file, text }) => parse(file, text, faults))
  if (faults.length > 0) throw wrongYaml(faults)
  if (sources.length === 0)
    throw new Complaint(
      'bad_usage',
      `there is no document in ${paths.join(', ')}`,
      'Name a YAML file that holds some.',
    )
  return sources
}

/** What control found wrong, at the file and line where it stands. */
export function placed(error: ControlError, sources: SourceDocument[]): Complaint {
  const lines = error.faults.map(({ document, kind, name, field, message }) => {
    const source = document === null ? undefined : sources[document]
    const what = [kind, name].filter(Boolean).join(' ')
    return [source?.placeOf(field), what, field, message].filter(Boolean).join(': ')
  })
  return new Complaint(error.code, several(lines), error.remedy)
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' })
    return names
      .filter((name) => /\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(path, name))
  } catch (error) {
    throw unreadable(path, error)
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(path: string, error: unknown): Complaint {
  const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  return new Complaint('bad_usage', `cannot read ${path}: ${why}`, 'Name files and folders that are there.')
}

function parse(file: string, text: string, faults: string[]): SourceDocument[] {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })
  // An empty stream is an object with no documents in it.
  if (!Array.isArray(documents)) return []
  return documents.flatMap((document): SourceDocument[] => {
    for (const error of document.errors)
      faults.push(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`)
    if (document.errors.length > 0 || document.contents === null) return []
    try {
      const value: unknown = document.toJS({ maxAliasCount: 100 })
      if (value === null) return []
      const placeOf = (field: string) => `${file}:${lines.linePos(offsetOf(document, field)).line}`
      return [{ value, placeOf }]
    } catch (error) {
      faults.push(`${file}:${lines.linePos(document.range[0]).line}: ${String(error)}`)
      return []
    }
  })
}

/** Where a field such as `spec.stores.0.path` stands, or the nearest thing above it. */
function offsetOf(document: Document.Parsed, field: string): number {
  let node: unknown = document.contents
  let offset = document.contents?.range[0] ?? document.range[0]
  for (const part of field.split('.')) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part)
      if (!pair) return offset
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(part)]
      if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range))
        offset = node.range[0] ?? offset
    } else return offset
  }
  return offset
}

function wrongYaml(faults: string[]): Complaint {
  return new Complaint('invalid_configuration', several(faults), 'Correct the YAML; nothing was applied.')
}

function several(lines: string[]): string {
  return lines.length === 1 ? (lines[0] ?? '') : `${lines.length} faults:\n  ${lines.join('\n  ')}`
}
