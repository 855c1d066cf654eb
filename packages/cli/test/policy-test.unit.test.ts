import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { givenCli } from './given-cli.ts'

// Cedar is compiled when it is first used, which takes a second of the processor.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const SHIPPED = fileURLToPath(new URL('../../../examples/policies', import.meta.url))

let cli: Awaited<ReturnType<typeof givenCli>>
beforeAll(async () => {
  cli = await givenCli()
})
afterAll(() => cli.close())

const ask = (...more: string[]) => cli.rekey(['policy', 'test', '--policies', SHIPPED, ...more])

test('says yes, and by which policy', async () => {
  const about = ['--action', 'contain', '--resource', 'Credential::"chat-key"', '--environment', 'prod']
  expect(await ask('--principal', 'User::ana', '--group', 'rekey-on-call', ...about)).toEqual({
    exit: 0,
    out: 'allow: User::"ana" contain Credential::"chat-key"\n  permitted by on-call-gives-orders',
    err: '',
  })
})

test('says no, and by which policy, or that none permits it', async () => {
  const about = ['--action', 'contain', '--resource', 'Credential::chat-key']
  const groups = ['--group', 'rekey-on-call', '--group', 'rekey-deployers']
  const forbidden = await ask('--principal', 'User::ci', ...groups, ...about, '--json')
  expect(forbidden.exit).toBe(3)
  expect(JSON.parse(forbidden.out)).toMatchObject({ allowed: false, policies: ['deployers-give-no-orders'] })
  const stranger = await ask('--principal', 'Certificate::spiffe://example.org/x', '--action', 'read')
  expect(stranger).toMatchObject({ exit: 3, out: expect.stringContaining('no policy permits it') })
})

test('nobody approves their own order', async () => {
  const approve = (requester: string) => {
    const names = ['--context', `requester=${requester}`, '--context', 'approver=oidc/ana']
    const who = ['--principal', 'User::ana', '--group', 'rekey-on-call']
    return ask(...who, '--action', 'approve', '--resource', 'Credential::k', ...names)
  }
  expect((await approve('oidc/ben')).exit).toBe(0)
  expect(await approve('oidc/ana')).toMatchObject({
    exit: 3,
    out: expect.stringContaining('nobody-approves-their-own'),
  })
})

test.each([
  ['an action', ['--principal', 'User::ana', '--action', 'contian'], 'there is no contian'],
  ['a principal', ['--principal', 'ana', '--action', 'read'], 'no name like User::ana'],
  ['a kind of principal', ['--principal', 'Group::sre', '--action', 'read'], 'there is no Group'],
  [
    'a kind of resource',
    ['--principal', 'User::a', '--action', 'read', '--resource', 'Key::a'],
    'there is no Key',
  ],
])('%s that there is not is an error, and no answer', async (_what, options, message) => {
  expect(await ask(...options)).toMatchObject({ exit: 1, out: '', err: expect.stringContaining(message) })
})

test('policies that are wrong are said with file and line', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'rekey-policies-'))
  writeFileSync(join(dir, 'a.cedar'), '\npermit (principal, action == Action::"x", resource);')
  const answer = await cli.rekey([
    ...['policy', 'test', '--policies', dir],
    ...['--principal', 'User::a', '--action', 'read'],
  ])
  rmSync(dir, { recursive: true })
  expect(answer).toMatchObject({ exit: 1, err: expect.stringContaining('a.cedar:2: unrecognized action') })
})
