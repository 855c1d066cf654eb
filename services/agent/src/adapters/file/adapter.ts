import type { AcceptedValue } from '@rekey/contracts'
import { z } from 'zod'
import { readIfPresent, writeDurably } from '../../durable-file.ts'
import { bearerTry } from '../bearer-try.ts'
import type { NodeAdapter } from '../node-adapter.ts'

export const FileConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('file'),
  /** Put it on tmpfs: it holds values. */
  path: z.string().min(1),
  format: z.enum(['json', 'plain']).default('json'),
  /** Answers 2xx to an accepted key and 401 or 403 to any other. Without it nothing can be tried. */
  probeUrl: z.url({ protocol: /^https?$/ }).optional(),
})
export type FileConfig = z.infer<typeof FileConfig>

export function contentOf(accept: AcceptedValue[], format: FileConfig['format']): string {
  const ordered = accept.toSorted((a, b) => a.generation - b.generation)
  if (format === 'plain') return ordered.map((a) => `${a.value.reveal()}\n`).join('')
  const rows = ordered.map((a) => ({ key_id: a.keyId, generation: a.generation, value: a.value.reveal() }))
  return `${JSON.stringify({ accept: rows }, null, 2)}\n`
}

/** For software that reads its keys from a file and follows a rename. */
export function fileAdapter(config: FileConfig): NodeAdapter {
  const { probeUrl } = config
  const holds = async (accept: AcceptedValue[]) =>
    (await readIfPresent(config.path)) === contentOf(accept, config.format)
  return {
    kind: 'file',
    disruption: 'B',
    canTry: probeUrl !== undefined,
    holds,
    async apply(accept) {
      // The same content is not written again: a watcher would re-read for nothing.
      if (await holds(accept)) return
      await writeDurably(config.path, contentOf(accept, config.format))
    },
    async tryValue(value) {
      return probeUrl === undefined ? 'unknown' : bearerTry(probeUrl, value)
    },
    async usage() {
      return undefined
    },
    async close() {},
  }
}
