import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError, parseDocument, readDocument } from '../config-file.ts'

/** The kernel cuts longer names of sockets off without a word. */
const SOCKET_PATH_MAX = 107

const endpoint = z.string().transform((text, context) => {
  const found = /^(?:\[(?<six>[^\]]+)\]|(?<four>[^:]+)):(?<port>\d{1,5})$/.exec(text)?.groups
  const address = found?.six ?? found?.four ?? ''
  const port = Number(found?.port)
  if (isIP(address) === 0 || port > 65_535) {
    context.addIssue({ code: 'custom', message: 'must be an address and a port, such as 127.0.0.1:8514' })
    return z.NEVER
  }
  return { address, port }
})

/** The authorizer's one static file. */
export const AuthorizerConfig = z.strictObject({
  /** Where NGINX asks. */
  socket: z.string().min(1),
  /** Where the agent says which keys are accepted. Whoever can write to it decides that. */
  adminSocket: z.string().min(1),
  /** Where NGINX says that a request has ended: its access log, as syslog over UDP. */
  ends: endpoint,
  /** What it goes by after a restart, before an agent is there: hashes and key ids. */
  keysFile: z.string().min(1),
  /** Longer than any request runs, streams included. One whose end was not heard counts for so long. */
  longestMs: z.number().int().min(1_000).max(86_400_000).default(3_600_000),
})
export type AuthorizerConfig = z.infer<typeof AuthorizerConfig>

export function parseAuthorizerConfig(text: string, folder: string): AuthorizerConfig {
  const config = parseDocument(text, AuthorizerConfig)
  const socketAt = (field: 'adminSocket' | 'socket') => {
    const path = resolve(folder, config[field])
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX)
      throw new ConfigError(`${field} is too long for a socket: ${path}`)
    return path
  }
  return {
    ...config,
    socket: socketAt('socket'),
    adminSocket: socketAt('adminSocket'),
    keysFile: resolve(folder, config.keysFile),
  }
}

/** Relative paths are meant from the file's own folder. */
export async function readAuthorizerConfig(path: string): Promise<AuthorizerConfig> {
  const { text, folder } = await readDocument(path)
  return parseAuthorizerConfig(text, folder)
}
