import { isSamePerson } from '@rekey/contracts/actor'
import type { Consent, Decision, Principal, Question, Resource, Weight } from '@rekey/policy'
import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { EXIT } from '../exit-code.ts'
import type { AddVerb } from '../verb.ts'

type Options = {
  policies: string
  principal: string
  group: string[]
  action: string
  resource: string
  workload: string
  environment: string
  owner: string
  context: string[]
}

const several = (value: string, before: string[]) => [...before, value]

export function addPolicyTest(verb: AddVerb, policy: Command): void {
  verb<Options>(policy, {
    usage: 'test',
    summary:
      'Say whether policies allow something, and which of them decide. Asks a folder, and not control.',
    example:
      'rekey policy test --policies examples/policies --principal User::ana --group rekey-on-call --action contain --resource Credential::chat-gateway-key',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      command
        .requiredOption('--policies <folder>', 'folder with *.cedar and entities.json')
        .requiredOption('--principal <name>', 'who: User::ana, Certificate::spiffe://…, Operator::ana')
        .option('--group <name>', 'a group in the token; may be repeated', several, [])
        .requiredOption('--action <name>', 'what: contain, rotate, read, …')
        .option('--resource <name>', 'of what: Credential::chat-key, Node::n1', 'System::rekey')
        .option('--workload <name>', "the credential's workload", '')
        .option('--environment <name>', "the credential's environment", '')
        .option('--owner <name>', "the owner of the credential's workload", '')
        .option(
          '--context <name=value>',
          'of an order: approved=true, blastRadius=200 (nodes); of approve: requester=… and approver=…',
          several,
          [],
        ),
    async run({ print }, _args, options) {
      // Loaded when it is needed: it is large, and who contains a leak must not wait for it.
      const { ACTIONS, isOrder, loadPolicies, nameOf, PRINCIPAL_TYPES, readPolicyFolder } = await import(
        '@rekey/policy'
      )
      const policies = loadPolicies(readPolicyFolder(options.policies))
      const action = oneOf(ACTIONS, options.action, '--action')
      const who = entityOf(options.principal, '--principal')
      const principal: Principal = {
        type: oneOf(PRINCIPAL_TYPES, who.type, '--principal'),
        id: who.id,
        ...(options.group.length > 0 && { groups: options.group }),
      }
      const resource = resourceOf(options)
      const said = Object.fromEntries(options.context.map(pair))
      const context = isOrder(action) ? weightOf(said) : action === 'approve' ? consentOf(said) : undefined
      const question: Question = { principal, action, resource, ...(context && { context }) }
      const decision = policies.authorize(question)
      const what = `${nameOf(principal)} ${action} ${nameOf(resource)}`
      print(decision, `${decision.allowed ? 'allow' : 'deny'}: ${what}\n  ${why(decision)}`)
      return decision.allowed ? EXIT.closed : EXIT.denied
    },
  })
}

/** What is not said is the least: nobody agreed, and no node. */
function weightOf({ approved = 'false', blastRadius = '0' }: Record<string, string>): Weight {
  if (!/^\d{1,9}$/.test(blastRadius)) throw wrong('--context', `blastRadius: "${blastRadius}" is no count`)
  return {
    approved: oneOf(['true', 'false'], approved, '--context approved') === 'true',
    blastRadius: Number(blastRadius),
  }
}

function consentOf({ requester = '', approver = '' }: Record<string, string>): Consent {
  return { requester, approver, samePerson: isSamePerson(requester, approver) }
}

function why({ allowed, policies, errors }: Decision): string {
  if (errors.length > 0) return `an error is a no: ${errors.join('; ')}`
  if (policies.length === 0) return 'no policy permits it'
  return `${allowed ? 'permitted' : 'denied'} by ${policies.join(', ')}`
}

function resourceOf({ resource, workload, environment, owner }: Options): Resource {
  const { type, id } = entityOf(resource, '--resource')
  switch (oneOf(['System', 'Credential', 'Node'] as const, type, '--resource')) {
    case 'Credential':
      return { type: 'Credential', id, workload, environment, owner }
    case 'Node':
      return { type: 'Node', id }
    default:
      return { type: 'System' }
  }
}

/** `User::ana`, or as Cedar writes it, `User::"ana"`. */
function entityOf(text: string, option: string): { type: string; id: string } {
  const [, type = '', id = ''] = /^(\w+)::(?:"(?=.*"$))?(.+?)"?$/.exec(text) ?? []
  if (id === '') throw wrong(option, `"${text}" is no name like User::ana`)
  return { type, id }
}

function pair(text: string): [string, string] {
  const [name, ...value] = text.split('=')
  if (!name || value.length === 0) throw wrong('--context', `"${text}" is not name=value`)
  return [name, value.join('=')]
}

function oneOf<T extends string>(all: readonly T[], given: string, option: string): T {
  const found = all.find((one) => one === given)
  if (found === undefined) throw wrong(option, `there is no ${given}: ${all.join(', ')}`)
  return found
}

const wrong = (option: string, why: string) => new Complaint('bad_usage', `${option}: ${why}`, '')
