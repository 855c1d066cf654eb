import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { accepts } from './port.ts'
import { startStack } from './stack.ts'

const saved = { ...process.env }
let bin: string

beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), 'rekey-bin-'))
})

afterEach(async () => {
  process.env = { ...saved }
  await rm(bin, { recursive: true, force: true })
})

async function docker(script: string): Promise<void> {
  await writeFile(join(bin, 'docker'), `#!/bin/sh\n${script}\n`)
  await chmod(join(bin, 'docker'), 0o755)
  process.env.PATH = bin + delimiter + process.env.PATH
}

test('a server that the environment names is used, and left running', async () => {
  process.env.REKEY_STACK_DOCKER = 'no'
  const owner = await startStack({ only: ['redis'] })
  process.env.REDIS_URL = owner.redis.url
  const guest = await startStack({ only: ['redis'] })
  expect(guest.servers.redis.origin).toBe('environment')
  expect(guest.env).toEqual({ REDIS_URL: owner.redis.url })
  await expect(guest.servers.redis.kill()).rejects.toThrow('given by the environment')
  await guest.stop()
  expect(await accepts(Number(new URL(owner.redis.url).port))).toBe(true)
  await owner.stop()
})

test('a server without its administrator is refused in a sentence', async () => {
  process.env.VAULT_ADDR = 'http://127.0.0.1:1'
  await expect(startStack({ only: ['vault'] })).rejects.toThrow(/^VAULT_ADDR names .* VAULT_TOKEN_FILE\.$/)
})

test('a Docker that cannot start the servers is passed by', async () => {
  // Answers as a daemon does, and cannot fetch an image.
  await docker('case "$*" in *" up "*) echo "no route to the registry" >&2; exit 1 ;; esac')
  const said: string[] = []
  const stack = await startStack({ only: ['redis'], onProgress: (line) => said.push(line) })
  expect(stack.servers.redis.origin).toBe('native')
  expect(said.join('\n')).toMatch(/no route to the registry\): going on without Docker/)
  await stack.stop()
})

test('a Docker that starts them is used, and told to take them down', async () => {
  const answer = `require('net').createServer((s) => s.on('data', () => s.write('+PONG\\r\\n'))).listen(process.env.REKEY_REDIS_PORT, '127.0.0.1')`
  await writeFile(join(bin, 'server.cjs'), answer)
  await docker(`echo "$*" >> "${bin}/called"
    case "$*" in
      *" up "*) "${process.execPath}" "${bin}/server.cjs" >/dev/null 2>&1 & echo $! > "${bin}/pid" ;;
      *" rm "*) kill $(cat "${bin}/pid") ;;
    esac`)
  const stack = await startStack({ only: ['redis'] })
  expect(stack.servers.redis.origin).toBe('docker')
  expect(await accepts(Number(new URL(stack.redis.url).port))).toBe(true)
  await stack.stop()
  const called = (await readFile(join(bin, 'called'), 'utf8')).trim().split('\n')
  expect(called.find((line) => line.includes(' up '))).toMatch(/compose\.yaml up --detach --wait redis$/)
  expect(called.at(-1)).toMatch(/compose\.yaml down --volumes --timeout 1$/)
})

test('a Docker without a daemon is not tried', async () => {
  await docker('[ "$1" = info ] && exit 1; echo "$*" >> "$0.called"')
  const said: string[] = []
  const stack = await startStack({ only: ['redis'], onProgress: (line) => said.push(line) })
  expect(said.some((line) => line.includes('Docker'))).toBe(false)
  await stack.stop()
})
