import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { SHIPPED_DIR, shipped } from '../test/shipped.ts'
import type { Question } from './policies.ts'
import { ACTIONS, type Action, isOrder, type Principal, type Resource, SCHEMA } from './vocabulary.ts'

// Cedar is compiled when it is first used, which takes a second of the processor.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

/** The shipped policies, asked everything: each set of roles, each kind of principal, each action. */

const policies = shipped()

const GROUPS = [
  'rekey-readers',
  'rekey-deployers',
  'rekey-on-call',
  'rekey-infrastructure',
  'rekey-maintainers',
]
const everySet = Array.from({ length: 2 ** GROUPS.length }, (_, set) =>
  GROUPS.filter((_, n) => set & (1 << n)),
)

const CREDENTIAL: Resource = {
  type: 'Credential',
  id: 'chat',
  workload: 'chat',
  environment: 'prod',
  owner: 'ai',
}
const NODE: Resource = { type: 'Node', id: 'n1' }
const SYSTEM: Resource = { type: 'System' }
const ABOUT: Record<Action, Resource[]> = {
  adopt: [CREDENTIAL],
  apply: [SYSTEM],
  approve: [SYSTEM, CREDENTIAL, NODE],
  contain: [CREDENTIAL],
  diff: [SYSTEM],
  excuse: [NODE],
  expedite: [CREDENTIAL],
  hold: [CREDENTIAL],
  'node-gone': [NODE],
  'node-token': [NODE],
  pause: [SYSTEM, CREDENTIAL],
  read: [SYSTEM, CREDENTIAL],
  recover: [SYSTEM],
  release: [CREDENTIAL],
  resume: [CREDENTIAL],
  retire: [CREDENTIAL],
  rollback: [CREDENTIAL],
  rotate: [CREDENTIAL],
  scan: [SYSTEM, CREDENTIAL],
  settle: [CREDENTIAL],
  test: [SYSTEM],
  who: [SYSTEM],
}
const ORDERS: Action[] = [
  'rotate',
  'expedite',
  'contain',
  'retire',
  'rollback',
  'hold',
  'pause',
  'resume',
  'settle',
]
const ENROLS: Action[] = ['node-token', 'node-gone', 'excuse']

const user = (...groups: string[]): Principal => ({ type: 'User', id: 'ana', groups })

function may(
  principal: Principal,
  action: Action,
  { own = false, weight = { approved: false, blastRadius: 5_000 } } = {},
): boolean {
  const answers = ABOUT[action].map((resource) => {
    const question: Question = {
      principal,
      action,
      resource,
      ...(isOrder(action) && { context: weight }),
      ...(action === 'approve' && {
        context: { requester: own ? 'oidc/ana' : 'oidc/ben', approver: 'oidc/ana', samePerson: own },
      }),
    }
    const { allowed, errors } = policies.authorize(question)
    expect(errors, `${principal.type} ${principal.groups} ${action}`).toEqual([])
    return allowed
  })
  expect(new Set(answers).size).toBe(1)
  return answers[0] === true
}

const allowed = (principal: Principal) => ACTIONS.filter((action) => may(principal, action))

describe('one role alone', () => {
  test.each<[string, Action[]]>([
    ['rekey-readers', ['read', 'scan']],
    ['rekey-deployers', ['diff', 'read', 'scan', 'test']],
    ['rekey-on-call', ['approve', 'diff', 'read', 'recover', 'release', 'scan', 'test', 'who', ...ORDERS]],
    ['rekey-infrastructure', ['read', ...ENROLS]],
    ['rekey-maintainers', ['adopt', 'apply', 'diff', 'read', 'scan', 'test']],
  ])('%s may do this and no more', (group, actions) => {
    expect(allowed(user(group))).toEqual(actions.toSorted())
  })

  test('no group: nothing', () => {
    expect(allowed(user())).toEqual([])
    expect(allowed({ type: 'Certificate', id: 'spiffe://example.org/other' })).toEqual([])
  })

  test('a token that claims the name of a role has it not', () => {
    expect(allowed(user('on-call', 'bootstrap', 'Role::"on-call"', 'maintainer'))).toEqual([])
  })

  test("the SIEM's certificate reads", () => {
    expect(allowed({ type: 'Certificate', id: 'spiffe://example.org/siem' })).toEqual(['read', 'scan'])
  })

  test('the shared token does everything but approve', () => {
    const all = ACTIONS.filter((action) => action !== 'approve')
    expect(allowed({ type: 'Operator', id: 'ana' })).toEqual(all)
  })
})

describe('whatever set of roles somebody has', () => {
  const each = (promise: (groups: string[], may: (action: Action) => boolean) => void) => {
    for (const groups of everySet) promise(groups, (action) => may(user(...groups), action))
  }

  test('a deployer gives no orders, so does not contain', () =>
    each((groups, may) => {
      if (groups.includes('rekey-deployers')) expect(ORDERS.filter(may), groups.join()).toEqual([])
    }))

  test('who may enrol or excuse nodes gives no orders', () =>
    each((groups, may) => {
      if (ENROLS.some(may)) expect(ORDERS.filter(may), groups.join()).toEqual([])
      if (groups.includes('rekey-infrastructure')) expect(ENROLS.every(may)).toBe(true)
    }))

  test('orders are for those on call alone', () =>
    each((groups, may) => {
      if (!groups.includes('rekey-on-call'))
        expect([...ORDERS, 'approve', 'recover'].filter((a) => may(a as Action))).toEqual([])
    }))

  test('configuration and adoption are for maintainers alone, and a reader is only ever given looks by it', () =>
    each((groups, may) => {
      expect(may('apply')).toBe(groups.includes('rekey-maintainers'))
      expect(may('adopt')).toBe(groups.includes('rekey-maintainers'))
      if (groups.includes('rekey-readers')) {
        const without = user(...groups.filter((group) => group !== 'rekey-readers'))
        const looks: Action[] = ['read', 'scan']
        expect(ACTIONS.filter((action) => !looks.includes(action) && may(action))).toEqual(
          allowed(without).filter((action) => !looks.includes(action)),
        )
      }
    }))

  test('nobody approves their own order', () => {
    expect(may({ type: 'Operator', id: 'ben' }, 'approve')).toBe(false)
    for (const groups of everySet) {
      expect(may(user(...groups), 'approve', { own: true })).toBe(false)
      expect(may(user(...groups), 'approve')).toBe(groups.includes('rekey-on-call'))
      expect(may({ type: 'Certificate', id: 'c', groups }, 'approve', { own: true })).toBe(false)
    }
  })
})

describe('with a break-glass token', () => {
  const holder: Principal = { type: 'BreakGlass', id: 'ana' }
  const orders: Action[] = [...ORDERS, 'excuse', 'node-gone']

  test('one person gives orders about as many nodes as the budget says, and two about any', () => {
    for (const action of orders) {
      expect(may(holder, action, { weight: { approved: false, blastRadius: 100 } })).toBe(true)
      expect(may(holder, action, { weight: { approved: false, blastRadius: 101 } })).toBe(false)
      expect(may(holder, action, { weight: { approved: true, blastRadius: 1_000_000 } })).toBe(true)
    }
  })

  test('nobody configures, enrols or recovers, and nobody approves their own', () => {
    const rest = ['adopt', 'apply', 'node-token', 'recover', 'release'] as const
    expect(rest.filter((action) => may(holder, action))).toEqual([])
    expect(may(holder, 'approve')).toBe(true)
    expect(may(holder, 'approve', { own: true })).toBe(false)
  })
})

test('the copy of the schema beside the examples is the one that is used', () => {
  expect(readFileSync(join(SHIPPED_DIR, 'rekey.cedarschema'), 'utf8')).toBe(SCHEMA)
})

test('every action of the schema is known here, and the reverse', () => {
  const declared = [...SCHEMA.matchAll(/^action ([^;]*?)(?: in \[\w+\])?\s+appliesTo/gm)].flatMap(
    ([, names = '']) => names.split(',').map((name) => name.trim().replaceAll('"', '')),
  )
  expect(declared.toSorted()).toEqual(ACTIONS.toSorted())
})
