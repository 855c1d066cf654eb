import { readdirSync, readFileSync } from 'node:fs'
import { Document } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'

const folder = new URL('../examples/chat-gateway/', import.meta.url)

test.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))(
  'examples/chat-gateway/%s can be applied',
  (name) => {
    const documents = parseAllDocuments(readFileSync(new URL(name, folder), 'utf8'))
    expect(documents.length).toBeGreaterThan(0)
    for (const document of documents)
      expect(Document.safeParse(document.toJS()).error?.issues ?? []).toEqual([])
  },
)
