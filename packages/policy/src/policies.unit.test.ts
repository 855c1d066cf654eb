import { readFileSync } from 'node:fs'
import { RekeyError } from '@rekey/contracts'
import { describe, expect, test, vi } from 'vitest'
import { SHIPPED_DIR, shipped } from '../test/shipped.ts'
import { readPolicyFolder } from './folder.ts'
import { loadPolicies, type PolicySource } from './policies.ts'
import { type Resource, UNKNOWN_CREDENTIAL } from './vocabulary.ts'

// Cedar is compiled when it is first used, which takes a second of the processor.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

/** What an order by one person about one node weighs. */
const ALONE = { approved: false, blastRadius: 1 }
const ON_CALL =
  '@id("on-call")\npermit (principal in Role::"on-call", action in Action::"order", resource);\n'
const ana = { type: 'User', id: 'ana', groups: ['sre'] } as const
const key: Resource = { type: 'Credential', id: 'key', workload: 'chat', environment: 'prod', owner: 'team' }
const entities = (list: unknown) => ({ name: 'entities.json', text: JSON.stringify(list) })
const sre = entities([
  { uid: { type: 'Group', id: 'sre' }, attrs: {}, parents: [{ type: 'Role', id: 'on-call' }] },
])
const policies = (...texts: string[]) =>
  loadPolicies({ files: texts.map((text, n) => ({ name: `${n}.cedar`, text })), entities: sre })

function refusal(source: PolicySource): string {
  try {
    loadPolicies(source)
  } catch (error) {
    if (RekeyError.is(error)) return `${error.code} ${error.message}`
    throw error
  }
  return 'it was taken'
}

describe('what is not right is refused at load, with its file and line', () => {
  const one = (text: string) => refusal({ files: [{ name: 'a.cedar', text }] })

  test.each([
    ['syntax', `// é, two bytes\n\npermit (principal, action resource);`, /a\.cedar:3: .*unexpected token/],
    [
      'an action that there is not',
      `// é\npermit (\n  principal,\n  action == Action::"contian",\n  resource\n);`,
      /^invalid_configuration a\.cedar:4: unrecognized action `Action::"contian"`/,
    ],
    [
      'a role that there is not',
      'forbid (principal in Role::"on-cal", action, resource);',
      /a\.cedar:1: .*on-cal/,
    ],
    [
      'an attribute that not every resource has',
      'permit (principal, action, resource)\nwhen { resource.environment == "prod" };',
      /a\.cedar:2: attribute `environment` on entity type `System` not found/,
    ],
    [
      'a forbid that never applies',
      '\nforbid (principal, action, resource) when { 1 == 2 };',
      /a\.cedar:2: .*impossible/,
    ],
    [
      'a template',
      'permit (principal == ?principal, action, resource);',
      /a\.cedar:1: templates are not used/,
    ],
    [
      'an id that cannot be shown',
      `@id("a b")\n${'permit (principal, action, resource);'}`,
      /a\.cedar:1: an @id has/,
    ],
    [
      'an id that is used twice',
      `${ON_CALL}\n${ON_CALL}`,
      /a\.cedar:4: the id on-call is used at a\.cedar:1 already/,
    ],
    ['nothing', '// later', /there is no policy/],
  ])('%s', (_what, text, message) => {
    expect(one(text)).toMatch(message)
  })

  test.each([
    ['no JSON', { name: 'entities.json', text: '[' }, /entities\.json: it is not JSON/],
    ['no list', entities({}), /it is not a list/],
    [
      'an operator with a role',
      entities([{ uid: { type: 'Operator', id: 'ana' }, attrs: {}, parents: [] }]),
      /entry 1 is no Group, User, Certificate/,
    ],
    [
      'a role that there is not',
      entities([{ uid: { type: 'Group', id: 'sre' }, attrs: {}, parents: [{ type: 'Role', id: 'oncall' }] }]),
      /entities\.json: .*oncall.*on-call/,
    ],
  ])('entities: %s', (_what, file, message) => {
    expect(refusal({ files: [{ name: 'a.cedar', text: ON_CALL }], entities: file })).toMatch(message)
  })

  test('every fault is named at once, of every file', () => {
    const bad = 'permit (principal, action == Action::"x", resource);'
    const message = refusal({ files: ['b.cedar', 'a.cedar'].map((name) => ({ name, text: bad })) })
    expect(message).toMatch(/a\.cedar:1: .*; b\.cedar:1: /)
  })

  test('a folder that is not there', () => {
    expect(() => readPolicyFolder('/nothing/here')).toThrow(
      'cannot read the policies in /nothing/here: ENOENT',
    )
  })
})

describe('an answer', () => {
  test('names the policies that decided, and the set they belong to', () => {
    const set = policies(ON_CALL, 'permit (principal in Group::"sre", action == Action::"rotate", resource);')
    expect(set.ids).toEqual(['1-1', 'on-call'])
    expect(set.authorize({ principal: ana, action: 'rotate', resource: key, context: ALONE })).toEqual({
      allowed: true,
      policies: ['1-1', 'on-call'],
      errors: [],
      digest: set.digest,
    })
    expect(set.digest).toMatch(/^sha-256:[0-9a-f]{64}$/)
  })

  test('is no where nothing permits, and where something forbids', () => {
    const set = policies(
      ON_CALL,
      '@id("not-prod") forbid (principal, action in Action::"order", resource is Credential) when { resource.environment == "prod" };',
    )
    expect(set.authorize({ principal: ana, action: 'who', resource: { type: 'System' } })).toMatchObject({
      allowed: false,
      policies: [],
    })
    expect(set.authorize({ principal: ana, action: 'contain', resource: key, context: ALONE })).toMatchObject(
      {
        allowed: false,
        policies: ['not-prod'],
      },
    )
    expect(
      set.authorize({
        principal: ana,
        action: 'contain',
        resource: { ...key, environment: 'dev' },
        context: ALONE,
      }),
    ).toMatchObject({
      allowed: true,
    })
    expect(
      set.authorize({ principal: ana, action: 'contain', resource: UNKNOWN_CREDENTIAL, context: ALONE }),
    ).toMatchObject({
      allowed: true,
    })
  })

  test('is no when a policy fails, though Cedar itself would leave that policy out and say yes', () => {
    const overflow =
      '@id("breaks") forbid (principal, action == Action::"rotate", resource is Credential) when { 9223372036854775807 + (if resource.owner == "x" then 0 else 1) > 0 };'
    const answer = policies(ON_CALL, overflow).authorize({
      principal: ana,
      action: 'rotate',
      resource: key,
      context: ALONE,
    })
    expect(answer).toMatchObject({ allowed: false, policies: ['breaks'] })
    expect(answer.errors[0]).toContain('overflow')
  })

  test.each([
    ['an action that there is not', { principal: ana, action: 'destroy', resource: key }],
    [
      'an action about something else',
      { principal: ana, action: 'rotate', resource: { type: 'Node', id: 'n' } },
    ],
    ['a context that is missing', { principal: ana, action: 'approve', resource: key }],
    ['an order without its weight', { principal: ana, action: 'rotate', resource: key }],
    ['a context that is too much', { principal: ana, action: 'rotate', resource: key, context: { a: 'b' } }],
    [
      'a principal of no kind',
      { principal: { type: 'Root', id: 'x' }, action: 'rotate', resource: key, context: ALONE },
    ],
    ['not even a question', { principal: undefined, action: 'rotate', resource: key, context: ALONE }],
  ])('is no to %s', (_what, question) => {
    const answer = policies('permit (principal, action, resource);').authorize(question as never)
    expect(answer).toMatchObject({ allowed: false, policies: [] })
    expect(answer.errors).not.toEqual([])
  })

  test('does not confuse names with quotes and lines in them', () => {
    const set = policies('permit (principal == User::"a\\"b", action, resource);')
    const as = (id: string) =>
      set.authorize({ principal: { type: 'User', id }, action: 'rotate', resource: key, context: ALONE })
        .allowed
    expect([as('a"b'), as('a\\"b'), as('a'), as('a"b\n')]).toEqual([true, false, false, false])
  })
})

test('the digest is of everything that decides, and of nothing else', () => {
  const { files } = readPolicyFolder(SHIPPED_DIR)
  const digest = (source: PolicySource) => loadPolicies(source).digest
  const [first, ...rest] = files
  if (!first) throw new Error('the examples are empty')
  expect(digest({ files: [...rest, first] })).toBe(digest({ files }))
  expect(digest({ files, entities: sre })).not.toBe(digest({ files }))
  expect(digest({ files: [{ ...first, text: `${first.text}\n` }, ...rest] })).not.toBe(digest({ files }))
  expect(digest({ files: [{ ...first, name: `z${first.name}` }, ...rest] })).not.toBe(digest({ files }))
})

test('a name that is in entities.json has what it says there, beside its groups', () => {
  const set = loadPolicies({
    files: [
      { name: 'a.cedar', text: ON_CALL },
      { name: 'b.cedar', text: 'permit (principal in Role::"reader", action == Action::"read", resource);' },
    ],
    entities: entities([
      { uid: { type: 'User', id: 'ana' }, attrs: {}, parents: [{ type: 'Role', id: 'reader' }] },
      { uid: { type: 'Group', id: 'sre' }, attrs: {}, parents: [{ type: 'Role', id: 'on-call' }] },
    ]),
  })
  const may = (action: 'read' | 'rotate') =>
    set.authorize({
      principal: ana,
      action,
      resource: key,
      ...(action === 'rotate' && { context: ALONE }),
    }).allowed
  expect([may('read'), may('rotate')]).toEqual([true, true])
})

test('what the pages show can be used', () => {
  const page = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
  const blocks = (path: string, language: string) =>
    [...page(path).matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(
      ([, text = '']) => text,
    )
  const [rule = ''] = blocks('docs/reference/policies.md', 'cedar')
  const [members = ''] = blocks('examples/policies/README.md', 'json')
  const { files } = readPolicyFolder(SHIPPED_DIR)
  const set = loadPolicies({
    files: [...files, { name: 'page.cedar', text: rule }],
    entities: { name: 'entities.json', text: members },
  })
  const junior = { type: 'User', id: 'ben', groups: ['sre-payments'] } as const
  const senior = { type: 'User', id: 'ana', groups: ['sre-payments', 'sre-senior'] } as const
  const may = (
    principal: typeof junior | typeof senior,
    action: 'rotate' | 'contain',
    environment = 'prod',
  ) => set.authorize({ principal, action, resource: { ...key, environment }, context: ALONE }).allowed
  expect([may(junior, 'contain'), may(senior, 'contain')]).toEqual([false, true])
  expect([may(junior, 'contain', 'dev'), may(junior, 'rotate')]).toEqual([true, true])
})

test('two sets can be asked side by side', () => {
  const [a, b] = [shipped(), policies(ON_CALL)]
  const question = { principal: ana, action: 'rotate', resource: key, context: ALONE } as const
  expect([a.authorize(question).allowed, b.authorize(question).allowed]).toEqual([false, true])
})
