import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isServed, listenOn } from './unix-socket.ts'

test.each([0o600, 0o660])('a socket has its mode %i, and is not taken from who serves it', async (mode) => {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-socket-'))
  const path = join(dir, 'a.sock')
  const [first, second] = [createServer(), createServer()]
  try {
    expect(await isServed(path)).toBe(false)
    const before = process.umask()
    await listenOn(first, path, mode)
    expect(process.umask()).toBe(before)
    expect((await stat(path)).mode & 0o777).toBe(mode)
    expect(await isServed(path)).toBe(true)
    await expect(listenOn(second, path, mode)).rejects.toThrow('another process serves')
  } finally {
    first.close()
    await rm(dir, { recursive: true, force: true })
  }
})
