import { type Document, Document as DocumentSchema, RekeyError } from '@rekey/contracts'
import type { Plan } from '@rekey/core'
import type { Ledger } from '@rekey/ledger'
import { asText, type Call } from './ledger.ts'
import { type CredentialPlan, rulesOf, type Scenario, WORKLOAD } from './scenario.ts'
import type { VirtualLedger } from './virtual-clock.ts'

/** A call to the ledger in memory, at its time, with what it answered. */
export type Heard = Call & { at: number }

/**
 * Says to the real ledger, at the same times, all that a world said to the one in memory, and compares the answers one by
 * one. Undefined: every one was the same.
 */
export async function repeat(
  heard: Heard[],
  real: VirtualLedger,
  scenario: Scenario,
): Promise<string | undefined> {
  const tokens = new Map<string, string>()
  await real.ledger.configure(documentsOf(scenario), { apply: true, actor: 'anna' })
  for (const [i, call] of heard.entries()) {
    // The first values are asked for by the configuration itself.
    if (call.name === 'start' && call.args.includes('"first-value"')) continue
    await real.setClock(call.at)
    const said = await say(real.ledger, call, tokens)
    const expected = call.refusal ?? comparable(call.name, JSON.parse(call.answer ?? 'null'))
    if (said !== expected)
      return `call ${i} at ${call.at}: ${call.name} ${call.args}\n  in memory:     ${expected}\n  in PostgreSQL: ${said}`
  }
  return undefined
}

async function say(
  ledger: Ledger,
  { name, args, answer }: Call,
  tokens: Map<string, string>,
): Promise<string> {
  const given: unknown[] = JSON.parse(args)
  const [of, method] = name.startsWith('fleet.')
    ? [ledger.fleet, name.slice('fleet.'.length)]
    : [ledger, name]
  if (name === 'fleet.redeemJoinToken') given[1] = tokens.get(String(given[1]))
  try {
    // biome-ignore lint/suspicious/noExplicitAny: the call was recorded by its name
    const call = async (on: any) => on[method](...given)
    // These are orders alone; nobody named is anybody.
    const isPause = name === 'pause' || name === 'endPause'
    if (isPause) given[0] ??= undefined
    const found = isPause ? await ledger.order({ digest: 'repeat' }, call) : await call(of)
    if (name === 'createJoinToken') tokens.set(JSON.parse(answer ?? '{}').token, found.token)
    return comparable(name, JSON.parse(asText(found)))
  } catch (error) {
    if (RekeyError.is(error)) return error.code
    throw error
  }
}

type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any call, as JSON
  [field: string]: any
} | null

/** What of an answer must be the same: not secrets, and not the order where none is promised. */
function comparable(name: string, answer: Answer): string {
  if (answer === null) return 'null'
  switch (name) {
    case 'createJoinToken':
      return asText(answer.expiresAt)
    case 'fleet.redeemJoinToken':
      return asText([answer.node, answer.workload])
    case 'lease':
      return asText([answer.effect, answer.attempt, answer.shown, answer.rotation.id])
    case 'renew':
    case 'instancesOf':
      return asText(answer.toSorted())
    case 'fleet.openSession':
      return asText([answer.session, answer.desired.map(withoutStore)])
    case 'fleet.desiredStates':
      return asText(answer.map(([node, states]: [string, object[]]) => [node, states.map(withoutStore)]))
    case 'unaudited':
      return asText(
        answer.map(({ position, stream, seq, type, data, actor, at }: Record<string, unknown>) => [
          position,
          stream,
          seq,
          type,
          data,
          actor,
          at,
        ]),
      )
    default:
      return asText(answer)
  }
}

function withoutStore(state: object): object {
  return { ...state, store: undefined }
}

export function documentsOf({ credentials }: Scenario): Document[] {
  const document = (kind: string, name: string, spec: object) =>
    DocumentSchema.parse({ apiVersion: 'rekey.dev/v1', kind, metadata: { name }, spec })
  const spiffeId = 'spiffe://example.org/chat'
  return [
    document('Workload', WORKLOAD, {
      spiffeId,
      environment: 'prod',
      owner: 'team',
      vendor: 'a',
      zone: 'a',
      dataset: 'a',
    }),
    ...credentials.map(({ name, plan }) => document('Credential', name, credentialSpec(name, plan))),
    ...rulesOf(credentials.map((c) => c.name)).map(({ name, when, rotate }) =>
      document('Rule', name, { when, rotate }),
    ),
  ]
}

function credentialSpec(name: CredentialPlan['name'], plan: Plan): object {
  const { direction, stores, slots: _slots, soakMs: _soak, refusalLagMs: _lag, brake, ...rollout } = plan
  const { share, ...how } = brake ?? { share: 0 }
  return {
    workload: WORKLOAD,
    purpose: name,
    direction,
    authority: { kind: 'nodes', endpoints: [{ name: 'gateway', url: 'http://127.0.0.1:1/' }] },
    stores: stores.map((store) =>
      store === 'aws'
        ? { name: store, kind: 'aws-secrets-manager', region: 'eu-central-1', secretId: name }
        : { name: store, kind: 'vault-kv', path: `${store}/${name}` },
    ),
    rollout: { ...rollout, ...(brake && { brake: { ...how, errors: `${share * 100}%` } }) },
  }
}
