import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { KeeperStatus } from './keeper.ts'
import { isServed, listenOn } from './unix-socket.ts'

export type AgentStatus = {
  node: string
  pid: number
  session: number | null
  certificateExpiresAt: string
  credentials: KeeperStatus[]
}

/** A node takes traffic only when it is: connected, told what to hold, and holding it. */
export function isReady(status: AgentStatus): boolean {
  return (
    status.session !== null &&
    status.credentials.every(
      (c) => c.told && c.appliedRevision !== null && c.appliedRevision === c.desiredRevision,
    )
  )
}

const socketPath = (stateDir: string) => {
  const path = join(stateDir, 'agent.sock')
  // The kernel cuts longer names off without a word.
  if (Buffer.byteLength(path) > 107) throw new Error(`stateDir is too long for a socket: ${path}`)
  return path
}

/** Asks the agent that runs on this state folder, or undefined if none does. */
export function askStatus(stateDir: string): Promise<AgentStatus | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath(stateDir))
    let text = ''
    socket.setTimeout(2_000, () => socket.destroy(new Error('the running agent does not answer')))
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => {
      try {
        resolve(JSON.parse(text) as AgentStatus)
      } catch {
        reject(new Error('the running agent answered with something else than its status'))
      }
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(error)
    })
  })
}

/**
 * Answers every connection with the status. It is the lock of the state folder too: a left-over socket of a killed
 * agent refuses connections, so that it is told from a living one.
 */
export async function serveStatus(stateDir: string, status: () => AgentStatus): Promise<Server> {
  const path = socketPath(stateDir)
  if (await isServed(path)) throw new Error(`another agent runs on ${stateDir}`)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(JSON.stringify(status()))
  })
  await listenOn(server, path, 0o600)
  return server
}
