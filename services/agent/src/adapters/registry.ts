import { z } from 'zod'
import { FileConfig, fileAdapter } from './file/adapter.ts'
import { HaproxyConfig, haproxyAdapter } from './haproxy/adapter.ts'
import type { NodeAdapter } from './node-adapter.ts'

/** One line per kind; the folder has the same name. */
export const adapterConfig = z.discriminatedUnion('kind', [HaproxyConfig, FileConfig])
export type AdapterConfig = z.infer<typeof adapterConfig>

export function makeAdapter(config: AdapterConfig): NodeAdapter {
  switch (config.kind) {
    case 'haproxy':
      return haproxyAdapter(config)
    case 'file':
      return fileAdapter(config)
  }
}
