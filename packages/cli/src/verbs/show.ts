import type { CredentialView, RotationDetail } from '@rekey/ledger'
import type { Command } from 'commander'
import { ControlError } from '../control-error.ts'
import { driftedWords } from '../drift.ts'
import { EXIT } from '../exit-code.ts'
import { holdWords } from '../hold.ts'
import { sheet, table } from '../table.ts'
import type { AddVerb } from '../verb.ts'

export function addShow(verb: AddVerb, program: Command): void {
  verb(program, {
    usage: 'show <name>',
    summary: 'Show a credential with its generations, or a rotation with what each node proved.',
    example: 'rekey show chat-gateway-key-g2',
    exits: [EXIT.closed, EXIT.failed],
    async run({ client, print }, [name = '']) {
      const credential = await found(client.credential(name))
      if (credential) {
        print(credential, showCredential(credential))
        return EXIT.closed
      }
      const rotation = await found(client.rotation(name))
      if (!rotation) throw unknownName(name)
      print(rotation, showRotation(rotation))
      return EXIT.closed
    },
  })
}

async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isUnknown(error)) return undefined
    throw error
  }
}

/** Control has nothing of that name, or says that nothing can be named so. */
export function isUnknown(error: unknown): boolean {
  return error instanceof ControlError && (error.code === 'not_found' || error.status === 400)
}

export function unknownName(name: string): ControlError {
  return new ControlError(
    404,
    'not_found',
    `there is no credential and no rotation named ${name}`,
    'See `rekey list` and `rekey list rotations`.',
  )
}

function showCredential(c: CredentialView): string {
  const isKnocked = c.generations.some((g) => g.knocks > 0)
  const generations = c.generations.map((g) => [
    g.generation,
    g.label,
    g.validity,
    g.keyId,
    ...(isKnocked ? [g.knocks || '-'] : []),
    Object.entries(g.storeVersions)
      .map(([store, version]) => `${store} ${version}`)
      .join(', '),
  ])
  return [
    sheet([
      ['credential', c.name],
      ['workload', c.workload],
      ['environment', c.environment],
      ['owner', c.owner],
      ['purpose', c.purpose],
      [
        'rotation',
        c.openRotation ?? (c.dueAt ? `none under way; by itself from ${c.dueAt} on` : 'none under way'),
      ],
      ...(c.paused
        ? [
            [
              'paused',
              `until ${new Date(c.paused.until).toISOString()} by ${c.paused.by}: ${c.paused.reason}`,
            ] as [string, string],
          ]
        : []),
      ['nodes', `${c.nodes.live} live, ${c.nodes.lost} lost`],
      ...(c.drift?.stores ?? []).map((one): [string, string] => ['drift', driftedWords(one)]),
    ]),
    '',
    table(
      ['GENERATION', 'LABEL', 'VALIDITY', 'KEY ID', ...(isKnocked ? ['KNOCKS'] : []), 'STORE VERSIONS'],
      generations,
    ),
  ].join('\n')
}

const GOALS = {
  replace: 'replace the value',
  retire: 'end the value, with none to follow',
  keep: 'keep the value: the offboarding was called off',
}

function generationsOf({ base, generation }: RotationDetail): string {
  if (generation === null) return `${base}`
  return base === null ? `${generation} (the first)` : `${base} → ${generation}`
}

function usageWords({
  generation,
  inFlight,
  requests,
  failures,
}: RotationDetail['nodes'][number]['usage'][number]): string {
  return `g${generation}: ${inFlight} in flight, ${requests} requests${failures ? `, ${failures} failed` : ''}`
}

/** Which term dominates, before anything is drained. */
function drainWords({ outcome, drain: [longest], longestRequest }: RotationDetail): string[] {
  if (outcome !== null || !longest) return []
  const seconds = (ms: number) => `${Number((ms / 1_000).toFixed(1))} s`
  const more = longestRequest ? `; ${longestRequest.why} for ${seconds(longestRequest.ms)}` : ''
  return [`at least ${seconds(longest.ms)}: ${longest.why}${more}`]
}

function showRotation(r: RotationDetail): string {
  const isLabelled = r.nodes.some(({ labels }) => Object.keys(labels).length > 0)
  const nodes = r.nodes.map((n) => [
    n.node,
    ...(isLabelled
      ? [
          Object.entries(n.labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(' '),
        ]
      : []),
    n.state,
    n.accept.join(' '),
    n.provedRevision >= n.revision ? n.proved.join(' ') : `(${n.provedRevision} of ${n.revision})`,
    n.usage.map(usageWords).join('; '),
    n.nack ? `${n.nack.reason}: ${n.nack.detail}` : undefined,
  ])
  const effects = r.effects
    .filter((e) => e.kind !== 'timer')
    .map((e) => [e.key.slice(r.id.length + 1), e.state, e.attempt])
  const told = r.notifications.map((n) => [
    `${n.owner}/${n.target}`,
    n.error === null ? n.state : `${n.state}: ${n.error}`,
    n.attempts,
    n.summary,
  ])
  return [
    sheet([
      ['rotation', r.id],
      ['credential', r.credential],
      ['phase', r.hold ? `${r.phase} (held)` : r.phase],
      ['mode', r.mode],
      ['goal', GOALS[r.goal]],
      ['generation', generationsOf(r)],
      ...(r.compromised.length > 0 ? [['leaked', r.compromised.join(', ')] as [string, string]] : []),
      ['cause', r.cause.rule === undefined ? r.cause.reason : `rule ${r.cause.rule}: ${r.cause.reason}`],
      ...(r.cause.ticket === undefined ? [] : [['ticket', r.cause.ticket] as [string, string]]),
      ['causes', `${r.causes} satisfied, ${r.followUps} for the rotation after it`],
      ['opened', r.openedAt],
      ['closed', r.closedAt],
      ...r.holds.map((hold): [string, string] => ['held', holdWords(hold)]),
      ...r.waitsFor.map((what): [string, string] => ['waits for', what]),
      ...drainWords(r).map((what): [string, string] => ['drain', what]),
      ...r.waves.flatMap(({ watchedUntil, wave }): [string, string][] =>
        watchedUntil === null
          ? []
          : [['watched', `wave ${wave + 1} until ${new Date(watchedUntil).toISOString()}`]],
      ),
      ...r.exceptions.map((what): [string, string] => ['not shown', what.replaceAll('_', ' ')]),
    ]),
    '',
    table(
      ['NODE', ...(isLabelled ? ['LABELS'] : []), 'STATE', 'SHALL HOLD', 'PROVED', 'USE', 'REFUSED WITH'],
      nodes,
    ),
    '',
    table(['EFFECT', 'STATE', 'ATTEMPTS'], effects),
    ...(told.length > 0 ? ['', table(['TOLD', 'STATE', 'ATTEMPTS', 'WHAT'], told)] : []),
  ].join('\n')
}
