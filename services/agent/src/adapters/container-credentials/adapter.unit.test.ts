import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { ContainerCredentialsConfig, containerCredentialsAdapter } from './adapter.ts'
import { openEndpoint } from './endpoint.ts'
import { tokenIn } from './token-file.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-container-'))
  return () => rm(dir, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const TOKEN = 'a-token-of-32-characters-or-more'
const ENDS = new Date('2030-01-02T03:04:05.006Z')

async function givenEndpoint(take = () => ({ id: 'AKIAX', secret: Secret.of('planted'), endsAt: ENDS })) {
  const port = await freePort()
  const endpoint = await openEndpoint(port, TOKEN, take)
  onTestFinished(() => endpoint.close())
  const ask = (headers: Record<string, string> = {}, path = '/credentials', method = 'GET') =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = { authorization: TOKEN, ...headers }
      request({ port, host: '127.0.0.1', path, method, headers: sent, agent: false }, (answer) => {
        let body = ''
        answer.setEncoding('utf8').on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      })
        .on('error', reject)
        .end()
    })
  return { port, endpoint, ask }
}

test('who shows the token is given the key and its end, and an empty session token', async () => {
  const { port, ask } = await givenEndpoint()
  const { status, body } = await ask()
  expect(status).toBe(200)
  expect(JSON.parse(body)).toEqual({
    AccessKeyId: 'AKIAX',
    SecretAccessKey: 'planted',
    Token: '',
    Expiration: '2030-01-02T03:04:05.006Z',
  })
  expect((await ask({ host: `localhost:${port}` })).status).toBe(200)
})

test('nobody else is given anything, be it a page that found its way here', async () => {
  const { port, ask } = await givenEndpoint()
  for (const [headers, path, method, status] of [
    [{ authorization: '' }, '/credentials', 'GET', 401],
    [{ authorization: `${TOKEN}x` }, '/credentials', 'GET', 401],
    [{ authorization: TOKEN.slice(1) }, '/credentials', 'GET', 401],
    [{ host: 'evil.example' }, '/credentials', 'GET', 403],
    [{ host: `evil.example:${port}` }, '/credentials', 'GET', 403],
    [{ host: '127.0.0.1' }, '/credentials', 'GET', 403],
    [{}, '/', 'GET', 404],
    [{}, '/credentials?x', 'GET', 404],
    [{}, '/credentials', 'POST', 404],
  ] as const) {
    const answer = await ask(headers, path, method)
    expect(answer.status, JSON.stringify([headers, path, method])).toBe(status)
    expect(answer.body).not.toContain('planted')
    expect(answer.body).not.toContain(TOKEN)
  }
})

test('without a key it is said to be away for now, and after its end nobody listens', async () => {
  const { endpoint, ask } = await givenEndpoint((() => undefined) as never)
  expect((await ask()).status).toBe(503)
  await endpoint.close()
  await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(endpoint.isOpen()).toBe(false)
})

test('a port that is taken is said so', async () => {
  const { port } = await givenEndpoint()
  await expect(openEndpoint(port, TOKEN, () => undefined)).rejects.toThrow(
    `cannot listen on port ${port} of 127.0.0.1: another process has it`,
  )
})

test('a token is made once, for the owner, and what others may read or what is none is not used', async () => {
  const path = join(dir, 'token')
  const token = await tokenIn(path)
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(await readFile(path, 'utf8')).toBe(token)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await tokenIn(path)).toBe(token)
  await chmod(path, 0o640)
  expect(await tokenIn(path)).toBe(token)
  for (const mode of [0o604, 0o660, 0o644]) {
    await chmod(path, mode)
    await expect(tokenIn(path)).rejects.toThrow('by others')
  }
  await writeFile(path, `${token}\n`, { mode: 0o600 })
  await expect(tokenIn(path)).rejects.toThrow('holds no token')
  await expect(tokenIn(path)).rejects.not.toThrow(token)
})

test('a token that somebody took away is noticed, and so is what is no access key', async () => {
  const port = await freePort()
  const config = { credential: 'objects', kind: 'container-credentials', port, tokenFile: join(dir, 'token') }
  const adapter = containerCredentialsAdapter(ContainerCredentialsConfig.parse(config))
  onTestFinished(() => adapter.close())
  expect(await adapter.holds?.([])).toBe(false)
  await adapter.apply([])
  expect(await adapter.holds?.([])).toBe(true)
  await rm(config.tokenFile)
  expect(await adapter.holds?.([])).toBe(false)
  await adapter.apply([])
  expect(await adapter.holds?.([])).toBe(true)
  const wrong = [{ generation: 1, keyId: 'objects.g1', value: Secret.of('planted') }]
  await expect(adapter.apply(wrong)).rejects.toThrow('not an access key')
  expect(await adapter.holds?.(wrong)).toBe(false)
})

test('before the hand-outs of an earlier agent have ended, every generation may be in use', async () => {
  const config = { credential: 'objects', kind: 'container-credentials', port: 1, tokenFile: 'x' }
  const adapter = containerCredentialsAdapter(ContainerCredentialsConfig.parse(config))
  expect(await adapter.countingAgeMs?.()).toBe(0)
  for (const ttlMs of [299_999, 43_200_001])
    expect(ContainerCredentialsConfig.safeParse({ ...config, ttlMs }).success).toBe(false)
})
