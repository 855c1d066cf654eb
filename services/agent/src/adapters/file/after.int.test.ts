import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleText, Secret } from '@rekey/contracts'
import { ensureNginx, freePort } from '@rekey/local'
import { certificateAuthority } from '@rekey/testing/certificates'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { accepts, restartable } from '../../../test/gateway.ts'
import { until } from '../../../test/until.ts'
import { FileConfig, fileAdapter, fileDefinition } from './adapter.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-after-'))
  return () => rm(dir, { recursive: true, force: true })
})

const value = (generation: number) => `planted-value-${generation}`
const accept = (...generations: number[]) =>
  generations.map((generation) => ({
    generation,
    keyId: `chat.g${generation}`,
    value: Secret.of(value(generation)),
  }))

const given = (after: unknown, more: Record<string, unknown> = {}) =>
  fileAdapter(
    FileConfig.parse({
      credential: 'chat',
      kind: 'file',
      path: join(dir, 'keys'),
      format: 'plain',
      after,
      ...more,
    }),
  )

/** Reads the keys at its start and at each HUP, and tells what it read. */
const READER = `
  const { readFileSync } = require('node:fs')
  const tell = () => { let text = ''; try { text = readFileSync(process.argv[1], 'utf8') } catch {} console.log(JSON.stringify(text)) }
  process.on('SIGHUP', tell)
  tell()
  setInterval(() => {}, 1_000)`

async function startReader(script = READER) {
  const child = spawn(process.execPath, ['-e', script, join(dir, 'keys')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const read: string[] = []
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    for (const line of chunk.trim().split('\n')) read.push(JSON.parse(line))
  })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(stop)
  const pidFile = join(dir, 'reader.pid')
  await until('it runs', () => read.length > 0)
  await writeFile(pidFile, `${child.pid}\n`)
  return { child, read, stop, pidFile, after: { signal: 'HUP', pidFile } }
}

test('software is signalled once for each change, and not where nothing changed', async () => {
  const reader = await startReader()
  const adapter = given(reader.after)
  expect(adapter.disruption).toBe('C')
  expect(given(undefined).disruption).toBe('B')
  await adapter.apply(accept(1))
  await until('read', () => reader.read.at(-1) === 'planted-value-1\n')
  expect(await adapter.holds?.(accept(1))).toBe(true)
  await adapter.apply(accept(1))
  await adapter.apply(accept(1, 2))
  await until('read', () => reader.read.at(-1) === 'planted-value-1\nplanted-value-2\n')
  expect(reader.read).toHaveLength(3)
})

test('an agent that died before it signalled signals when it is back, also where the change was taken back', async () => {
  const reader = await startReader()
  await given(reader.after).apply(accept(1))
  await until('read', () => reader.read.length === 2)
  // Written, and never told: as after a kill between the two.
  const nobody = { signal: 'HUP', pidFile: join(dir, 'nobody.pid') }
  await expect(given(nobody).apply(accept(2))).rejects.toThrow('names nobody')
  expect(await readFile(join(dir, 'keys'), 'utf8')).toBe('planted-value-2\n')
  const restarted = given(reader.after)
  expect(await restarted.holds?.(accept(2))).toBe(false)
  await restarted.apply(accept(2))
  expect(await restarted.holds?.(accept(2))).toBe(true)
  await until('read', () => reader.read.at(-1) === 'planted-value-2\n')
  // Written and never told, and then the order is what it was before.
  await given(reader.after).apply(accept(1))
  await until('read', () => reader.read.at(-1) === 'planted-value-1\n')
  const told = reader.read.length
  await expect(given(nobody).apply(accept(2))).rejects.toThrow('names nobody')
  expect(await given(reader.after).holds?.(accept(1))).toBe(false)
  await given(reader.after).apply(accept(1))
  await until('told again', () => reader.read.length > told)
})

test('the mark beside the file holds no value, and is for its owner only', async () => {
  const reader = await startReader()
  await given(reader.after).apply(accept(1))
  const mark = join(dir, 'keys.applied')
  expect(await readFile(mark, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
  expect((await stat(mark)).mode & 0o777).toBe(0o600)
  await rm(mark)
  expect(await given(reader.after).holds?.(accept(1))).toBe(false)
})

test('a pid file of nobody, of somebody else, or of one that would be ended is no yes, and harms nobody', async () => {
  const reader = await startReader()
  const adapter = given(reader.after)
  await adapter.apply(accept(1))
  const refused = async (why: string) => {
    await expect(adapter.apply(accept(2))).rejects.toThrow(why)
    expect(await adapter.holds?.(accept(2))).toBe(false)
  }
  for (const [text, why] of [
    ['', 'names nobody'],
    ['0', 'no process number'],
    ['-1', 'no process number'],
    ['12 34', 'no process number'],
    [`${process.pid}`, 'this agent itself'],
  ] as const) {
    await writeFile(reader.pidFile, text)
    await refused(why)
  }
  const { pid } = reader.child
  // As a recycled number looks: the file is older than the process.
  const before = new Date((await stat('/proc/1')).ctimeMs - 86_400_000)
  const recycled = await startReader()
  await utimes(reader.pidFile, before, before)
  await refused('was left behind by another')
  await recycled.stop()
  // Without a handler HUP would be its end.
  const bystander = await startReader("console.log('1'); setInterval(() => {}, 1_000)")
  await refused('no handler for SIGHUP')
  expect(bystander.child.exitCode).toBeNull()
  await bystander.stop()
  await refused('has ended')
  // One that was told before is still the same when the clock is set forward: its start looks later then.
  await writeFile(reader.pidFile, `${pid}`)
  await utimes(reader.pidFile, before, before)
  await adapter.apply(accept(2))
  await until('read', () => reader.read.at(-1) === 'planted-value-2\n')
})

test('a command is given no value and nothing of the environment, and what it says is not repeated', async () => {
  process.env.REKEY_PLANTED = value(1)
  onTestFinished(() => {
    delete process.env.REKEY_PLANTED
  })
  const [script, seen] = [join(dir, 'reload'), join(dir, 'seen')]
  const write = async (text: string) => {
    await writeFile(script, `#!/bin/sh\n${text}\n`)
    await chmod(script, 0o700)
  }
  await write(
    `echo run >> ${seen}; env >> ${seen}; cat ${dir}/keys; cat ${dir}/keys >&2; exit $(cat ${dir}/code)`,
  )
  const adapter = given({ command: [script, 'reload'] })
  await writeFile(join(dir, 'code'), '3')
  for (const _try of [1, 2]) {
    const applying = adapter.apply(accept(1))
    await expect(applying).rejects.toThrow(`${script} ended with exit code 3: run it by hand to see why`)
    expect(await adapter.holds?.(accept(1))).toBe(false)
  }
  await writeFile(join(dir, 'code'), '0')
  await adapter.apply(accept(1))
  await adapter.apply(accept(1))
  expect(await adapter.holds?.(accept(1))).toBe(true)
  const told = await readFile(seen, 'utf8')
  expect(told.match(/^run$/gm)).toHaveLength(3)
  expect(told).not.toContain('planted')
  await expect(given({ command: [join(dir, 'none')] }).apply(accept(2))).rejects.toThrow('ENOENT')
})

test('a command that hangs is ended with what it started', async () => {
  const script = join(dir, 'hang')
  await writeFile(script, `#!/bin/sh\nsleep 60 & echo $! > ${dir}/child; wait\n`)
  await chmod(script, 0o700)
  const hanging = given({ command: [script], timeoutMs: 1_000 }).apply(accept(1))
  await expect(hanging).rejects.toThrow('took longer than 1000 ms')
  const child = (await readFile(join(dir, 'child'), 'utf8')).trim()
  await until('it is gone', async () => {
    const state = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => ') Z')
    return state.includes(') Z')
  })
})

/** Lets in whom its keys name. It reads them again some time after it was told to. */
const SERVER = `
  const { readFileSync } = require('node:fs')
  let keys = ''
  const read = () => { try { keys = readFileSync(process.argv[1], 'utf8') } catch {} }
  read()
  process.on('SIGHUP', () => setTimeout(read, 400))
  const server = require('node:http').createServer(({ headers }, answer) => {
    const key = (headers.authorization || '').replace('Bearer ', '')
    answer.writeHead(keys.split('\\n').includes(key) ? 200 : 401).end()
  })
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(String(server.address().port))))`

test('what software takes up a moment after its signal is waited for, and so is what it lets go', async () => {
  const server = await startReader(SERVER)
  const adapter = given(server.after, { probeUrl: `http://127.0.0.1:${server.read[0]}/` })
  await adapter.apply(accept(1))
  expect(await adapter.tryValue(Secret.of(value(1)))).toBe('accepted')
  await adapter.apply(accept(2))
  expect(await adapter.tryValue(Secret.of(value(2)))).toBe('accepted')
  await adapter.apply(accept(3))
  expect(await adapter.tryValue(Secret.of(value(2)))).toBe('refused')
})

test('NGINX shows another certificate after its signal, and none is lost while it is down', async () => {
  const authority = await certificateAuthority()
  const name = 'shop.internal.example'
  const bundles = await Promise.all(
    [1, 2].map(async (generation) => {
      const { key, cert } = await authority.issue([{ type: 'dns', value: name }])
      const value = bundleText({ certificate: cert, chain: [], key: Secret.of(key) })
      return { generation, keyId: `aa:0${generation}`, value }
    }),
  )
  const [first, second] = bundles
  if (!first || !second) throw new Error('two were made')
  const port = await freePort()
  const [config, caFile, pidFile] = ['nginx.conf', 'ca.pem', 'nginx.pid'].map((file) => join(dir, file))
  await writeFile(caFile ?? '', authority.ca)
  await writeFile(
    config ?? '',
    `daemon off; pid ${pidFile}; events {} http { access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ')}
      server { listen 127.0.0.1:${port} ssl; return 204;
        ssl_certificate ${dir}/keys/tls.crt; ssl_certificate_key ${dir}/keys/tls.key; } }`,
  )
  const args = ['-e', join(dir, 'error.log'), '-c', config ?? '']
  const nginx = restartable(await ensureNginx(), args, {}, () => accepts(port))
  // Its end takes its workers along, which a kill would not.
  onTestFinished(() => void nginx.signal('SIGTERM'))
  const adapter = given(
    { signal: 'HUP', pidFile },
    {
      format: 'tls',
      probe: 'shown',
      shown: { address: `127.0.0.1:${port}`, serverName: name, caFile },
    },
  )
  await expect(adapter.apply([first])).rejects.toThrow('names nobody')
  await nginx.start()
  await adapter.apply([first])
  expect(await adapter.tryValue(first.value)).toBe('accepted')
  await adapter.apply([second])
  expect(await adapter.tryValue(second.value)).toBe('accepted')
  expect(await adapter.tryValue(first.value)).toBe('refused')
  expect(await adapter.holds?.([second])).toBe(true)
})

test('what follows a change is one thing, and both files are claimed', async () => {
  const base = { credential: 'chat', kind: 'file', path: '/run/keys' }
  const hup = { signal: 'HUP', pidFile: 'x.pid' }
  for (const wrong of [
    {},
    { signal: 'KILL', pidFile: 'x.pid' },
    { signal: 'HUP' },
    { ...hup, command: ['/bin/true'] },
    { command: [] },
    { command: ['true'] },
    { command: ['/bin/true'], timeoutMs: 0 },
  ])
    expect(FileConfig.safeParse({ ...base, after: wrong }).success, JSON.stringify(wrong)).toBe(false)
  const config = fileDefinition.resolved(FileConfig.parse({ ...base, after: hup }), (path) => `/etc/${path}`)
  expect(config.after).toEqual({ signal: 'HUP', pidFile: '/etc/x.pid' })
  expect(fileDefinition.claims(config)).toEqual(['path /etc//run/keys', 'path /etc//run/keys.applied'])
  await expect(access('/run/keys.applied')).rejects.toThrow()
})
