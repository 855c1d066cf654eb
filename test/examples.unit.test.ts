import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Document } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'

const examples = new URL('../examples/', import.meta.url)

/** For other programs, and with tests there: of `webhooks` (and of Argo CD and Flux), and of the agent and the fleet. */
const exclude = ['webhooks/**', 'systemd/**', 'kubernetes/**', 'spire/**']

test.each(globSync('*/*.yaml', { cwd: fileURLToPath(examples), exclude }))(
  'examples/%s can be applied',
  (name) => {
    const documents = parseAllDocuments(readFileSync(new URL(name, examples), 'utf8'))
    expect(documents.length).toBeGreaterThan(0)
    for (const document of documents)
      expect(Document.safeParse(document.toJS()).error?.issues ?? []).toEqual([])
  },
)
