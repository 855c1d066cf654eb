import { Document, type RekeyError } from '@rekey/contracts'
import { type Fault, FaultyDocuments } from './problem.ts'

/** Reads documents strictly. Every fault of every document is named at once, so that one run is enough to correct them. */
export function readDocuments(given: unknown[]): Document[] {
  const faults: Fault[] = []
  const documents: Document[] = []
  given.forEach((value, document) => {
    const parsed = Document.safeParse(value)
    if (parsed.success) {
      documents.push(parsed.data)
      return
    }
    const { kind, name } = identity(value)
    for (const issue of parsed.error.issues) {
      const at = issue.path.map(String)
      if (issue.code === 'unrecognized_keys')
        for (const key of issue.keys)
          faults.push({
            document,
            kind,
            name,
            field: [...at, key].join('.'),
            message: 'there is no such field',
          })
      else faults.push({ document, kind, name, field: at.join('.'), message: plain(issue.message) })
    }
  })
  if (faults.length > 0) throw new FaultyDocuments(faults)
  return documents
}

/** What the ledger found wrong, which speaks of kinds and names, with the place of each fault in the request. */
export function placeFaults(error: RekeyError, documents: Document[]): FaultyDocuments {
  const faults = error.message
    .split(/; (?=(?:Workload|Credential|Rule) [a-z0-9-]+[ :])/)
    .map((text): Fault => {
      const [, kind = null, name = null, rest = text] =
        /^(Workload|Credential|Rule) ([a-z0-9-]+):? (.*)$/s.exec(text) ?? []
      const [, field = '', message = rest] = /^(spec(?:\.\w+)+) (.*)$/s.exec(rest) ?? []
      const index = documents.findLastIndex((d) => d.kind === kind && d.metadata.name === name)
      return { document: index < 0 ? null : index, kind, name, field: field || 'metadata.name', message }
    })
  return new FaultyDocuments(faults)
}

function identity(value: unknown): { kind: string | null; name: string | null } {
  if (typeof value !== 'object' || value === null) return { kind: null, name: null }
  const kind = 'kind' in value ? value.kind : null
  const metadata = 'metadata' in value ? value.metadata : null
  const name = typeof metadata === 'object' && metadata !== null && 'name' in metadata ? metadata.name : null
  return { kind: text(kind), name: text(name) }
}

const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : null)

const plain = (message: string) =>
  message
    .replace(/^Invalid (input|option|discriminator value)[:.] /, '')
    .replace('expected string, received undefined', 'is missing')
    .replace(/expected (\w+), received undefined/, 'is missing')
    .replace(/^Expected /, 'expected ')
