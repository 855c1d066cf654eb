import { type InventoryPlace, RekeyError } from '@rekey/contracts'
import { describe, expect, test } from 'vitest'
import { type Backends, list } from './inventory.ts'
import { Places } from './places.ts'

const VAULT: InventoryPlace = { kind: 'vault-kv', mount: 'secret', prefix: '' }
const AWS: InventoryPlace = { kind: 'aws-secrets-manager', region: 'eu-central-1', prefix: 'prod/' }

const USER: InventoryPlace = { kind: 'aws-iam-access-key', user: 'reports', region: 'us-east-1', prefix: '' }

const TREE: Record<string, string[]> = {
  '': ['a', 'team/', 'rekey-staging/'],
  team: ['b', 'deep/'],
  'team/deep': ['c'],
  'rekey-staging': ['a/'],
}

function backends(over: Partial<Backends> = {}): Backends {
  const pages = [['prod/a', 'prod/b'], [], ['prod/c']]
  return {
    iam: () => ({
      list: async () => [{ id: 'AKIAX', status: 'Active', createdAt: Date.UTC(2026, 10, 22) }],
    }),
    vault: { kvList: async (_mount, path) => TREE[path] ?? [] },
    secrets: () => ({
      page: async (_prefix, from) => {
        const at = Number(from ?? 0)
        const names = (pages[at] ?? []).map((name) => ({ name, changedAt: '2026-11-22T00:00:00.000Z' }))
        return { names, next: at + 1 < pages.length ? String(at + 1) : undefined }
      },
    }),
    ...over,
  }
}

const soon = () => AbortSignal.timeout(5_000)
const names = (found: Awaited<ReturnType<typeof list>>) => found.names.map(({ name }) => name)

describe('a scan of one place', () => {
  test('walks the folders of a mount, but for staging copies', async () => {
    const found = await list(VAULT, backends(), soon())
    expect(names(found)).toEqual(['a', 'team/b', 'team/deep/c'])
    expect(found.error).toBeNull()
    expect(names(await list({ ...VAULT, prefix: 'team' } as InventoryPlace, backends(), soon()))).toEqual([
      'team/b',
      'team/deep/c',
    ])
  })

  test('takes page after page of a region, an empty one among them', async () => {
    const found = await list(AWS, backends(), soon())
    expect(names(found)).toEqual(['prod/a', 'prod/b', 'prod/c'])
    expect(found.names[0]?.changedAt).toBe('2026-11-22T00:00:00.000Z')
  })

  test('asks for the access keys of a user by their ids', async () => {
    expect(await list(USER, backends(), soon())).toEqual({
      place: USER,
      names: [{ name: 'AKIAX', changedAt: '2026-11-22T00:00:00.000Z' }],
      error: null,
    })
  })

  test.each([
    [USER, 'the action iam:ListAccessKeys for reports'],
    [VAULT, 'the capability list on secret/metadata/*'],
    [AWS, 'the action secretsmanager:ListSecrets'],
  ])('names the right that is missing', async (place, right) => {
    const refuse = async () => {
      throw new RekeyError('permission_denied', 'list x: answered 403')
    }
    const denied = backends({
      vault: { kvList: refuse },
      secrets: () => ({ page: refuse }),
      iam: () => ({ list: refuse }),
    })
    const found = await list(place, denied, soon())
    expect(found.error).toBe(`permission_denied: list x: answered 403; the rotator's identity needs ${right}`)
  })

  test('ends at a bound of number or of time, and says so', async () => {
    const many = await list(VAULT, backends(), soon(), 2)
    expect(many.names).toHaveLength(2)
    expect(many.error).toContain('scan it by parts')
    const late = await list(AWS, backends(), AbortSignal.abort())
    expect(late.error).toContain('within 60 s')
  })

  test('says nothing of an unexpected fault, which may quote anything', async () => {
    const odd = backends({
      vault: {
        kvList: async () => {
          throw new Error('token s.canary')
        },
      },
    })
    expect((await list(VAULT, odd, soon())).error).toBe('an unexpected fault; see the log of the rotator')
  })
})

describe('REKEY_INVENTORY', () => {
  test('names mounts with folders, and regions with beginnings of names', () => {
    expect(
      Places.parse('vault:secret, vault:kv-2/team-a/ ,aws:eu-central-1,aws:us-east-1/prod/,iam:reports'),
    ).toEqual([
      VAULT,
      { kind: 'vault-kv', mount: 'kv-2', prefix: 'team-a' },
      { kind: 'aws-secrets-manager', region: 'eu-central-1', prefix: '' },
      { kind: 'aws-secrets-manager', region: 'us-east-1', prefix: 'prod/' },
      USER,
    ])
  })

  test.each(['secret', 'vault:', 'vault:a/../b', 'aws:nowhere', 'vault:a?list=true', ''])(
    'refuses "%s", and names it',
    (text) => {
      expect(Places.safeParse(text).error?.issues[0]?.message).toContain('is no place')
    },
  )
})
