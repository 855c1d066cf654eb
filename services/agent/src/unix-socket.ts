import { rm } from 'node:fs/promises'
import { connect, type Server } from 'node:net'

/** Whether somebody answers there. What a killed process has left behind refuses connections. */
export function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false)
      else reject(error)
    })
  })
}

/** Listens where nobody does yet: a socket that is left over is replaced, one that is served is not taken away. */
export async function listenOn(server: Server, path: string, mode: number): Promise<void> {
  if (await isServed(path)) throw new Error(`another process serves ${path}`)
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // It has its mode from the first moment on: changed later, it would keep out who may come in, or the other way round.
    const before = process.umask(0o777 & ~mode)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}
