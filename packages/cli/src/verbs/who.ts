import { digestOf } from '@rekey/contracts/fingerprint'
import type { Owned, WhoAnswer } from '@rekey/ledger'
import type { Command } from 'commander'
import { Complaint } from '../complaint.ts'
import type { ControlClient } from '../control-client.ts'
import { EXIT } from '../exit-code.ts'
import { knocksSince, usedBy } from '../footprints.ts'
import { ordersFor } from '../forecasts.ts'
import { readPasted } from '../pasted.ts'
import { sheet } from '../table.ts'
import { type Terminal, type Tone, tint } from '../terminal.ts'
import type { AddVerb } from '../verb.ts'

export function addWho(verb: AddVerb, program: Command): void {
  verb(program, {
    usage: 'who',
    summary:
      'Whose is a string that was found somewhere? Reads it from stdin, also out of a log line, a DSN, JSON or an env file, and sends only digests. Says where it lives, when it was used last and by whom, and what each order took before; of a dead one since when, and who still tries it.',
    example: 'rekey who',
    exits: [EXIT.closed, EXIT.noRotation, EXIT.failed],
    options: (command) =>
      command
        .allowExcessArguments()
        .allowUnknownOption()
        .configureOutput({ outputError: (_, write) => write(`error: ${NOT_HERE}\n`) })
        .hook('preAction', refuseArguments),
    async run({ client, terminal, print }) {
      const pasted = readPasted(
        await terminal.hiddenInput('Paste the string (it is not shown), then Enter: '),
      )
      if ('problem' in pasted) throw new Complaint('bad_usage', pasted.problem, pasted.remedy)
      const answer = await askAll(client, pasted.candidates.map(digestOf))
      const owned = unique(answer)
      print({ found: owned, unfingerprinted: answer.unfingerprinted }, describe(owned, answer, terminal))
      return owned.length > 0 ? EXIT.closed : EXIT.noRotation
    },
  })
}

const NOT_HERE = 'who takes nothing on the command line, where others can read it'

/** As many as control takes at once, again and again. */
const AT_ONCE = 1_000

async function askAll(client: Pick<ControlClient, 'who'>, digests: string[]): Promise<WhoAnswer> {
  const all: WhoAnswer = { found: [], unfingerprinted: [] }
  for (let from = 0; from < digests.length; from += AT_ONCE) {
    const { found, unfingerprinted } = await client.who(digests.slice(from, from + AT_ONCE))
    all.found.push(...found)
    all.unfingerprinted = unfingerprinted
  }
  return all
}

/** Whoever gives a key so has made a second leak, and is not shown it a third time. */
function refuseArguments(command: Command): void {
  if (command.args.length === 0) return
  throw new Complaint(
    'bad_usage',
    NOT_HERE,
    "Give the string on stdin. If it was a key: it stands in your shell's history now; remove it there.",
  )
}

/** One string may be found in several readings of a text. */
function unique({ found }: WhoAnswer): Owned[] {
  const byName = new Map(found.flat().map((o) => [`${o.credential} ${o.generation} ${o.by}`, o]))
  const all = [...byName.values()]
  // The value says more than the id that stands beside it.
  return all.filter(
    (o) =>
      o.by === 'fingerprint' ||
      !all.some(
        (p) => p.by === 'fingerprint' && p.credential === o.credential && p.generation === o.generation,
      ),
  )
}

function describe(owned: Owned[], answer: WhoAnswer, terminal: Terminal): string {
  const told = owned.map((one) => describeOne(one, terminal))
  // An id beside a key says nothing of the key.
  if (owned.every((o) => o.by === 'key-id')) told.push(notKnown(owned.length > 0, answer))
  return told.join('\n\n')
}

function notKnown(hasId: boolean, { unfingerprinted }: WhoAnswer): string {
  return [
    hasId ? 'no value in it is ours, as far as can be said' : 'not ours, as far as can be said',
    unfingerprinted.length > 0
      ? `Nothing can be said of all values of ${unfingerprinted.join(', ')}: some have no fingerprint (older than fingerprints, or too young).`
      : 'Every value that the ledger knows has a fingerprint, and none is this one.',
    'A part of a key cannot be found: paste all of it. It may be of another environment: ask the Rekey there.',
  ].join('\n')
}

function describeOne(o: Owned, terminal: Terminal): string {
  const { tone, words } = standing(o)
  return [
    tint(terminal, tone, `${o.credential} generation ${o.generation}: ${words}`),
    sheet([
      ['known by', o.by === 'fingerprint' ? 'its value' : 'its public id; that is no secret'],
      ['key id', o.keyId],
      ['belongs to', `${o.workload} in ${o.environment}, owner ${o.owner}`],
      ...(o.compromised ? [['leaked', 'somebody said so before'] as [string, string]] : []),
      ...(o.dead ? deathOf(o.dead) : []),
      ...knocksSince(o),
      ...(o.dead && o.dead.exceptions.length === 0 ? [] : lifeOf(o)),
      ...usedBy(o),
    ]),
    ...(o.dead || o.forecast.length === 0 ? [] : ['', ...ordersFor(o)]),
  ].join('\n')
}

/** What is so, not what the plan is: `in use` is said of nothing that is being taken away. */
function standing({ dead, ending, label, validity }: Owned): { tone: Tone; words: string } {
  if (dead)
    return dead.exceptions.length === 0
      ? { tone: 'good', words: 'dead' }
      : { tone: 'attention', words: 'dead, as far as it was shown' }
  if (validity === 'destroyed') return { tone: 'attention', words: 'destroyed, and never proved dead' }
  if (ending === 'revoking' || ending === 'proving')
    return { tone: 'attention', words: 'revoked, and not proved dead yet' }
  if (validity === 'revoked') return { tone: 'attention', words: 'revoked, and never proved dead' }
  if (validity === 'suspended') return { tone: 'attention', words: 'suspended, which can be undone' }
  if (ending !== null) return { tone: 'bad', words: 'being taken out of use, and still accepted' }
  if (label === 'current') return { tone: 'bad', words: 'in use' }
  if (label === 'pending') return { tone: 'bad', words: 'on its way in' }
  return { tone: 'bad', words: 'in use nowhere, and never revoked' }
}

function lifeOf({ stores, nodes, lastUse, reaches, rotation }: Owned): [string, string][] {
  const accepting = nodes.filter((n) => n.accepts).map((n) => n.node)
  const unknown = nodes.filter((n) => n.accepts === null).map((n) => n.node)
  const inFlight = nodes.reduce((sum, n) => sum + n.inFlight, 0)
  const used = lastUse
    ? `${lastUse.at} at ${lastUse.node}; ${inFlight} in flight`
    : 'none is known of, which is no proof that there was none'
  return [
    ['in stores', stores.join(', ') || 'none shows it'],
    ['accepted by', accepting.join(', ') || 'no node, as they proved last'],
    ...(unknown.length > 0 ? [['not known of', unknown.join(', ')] as [string, string]] : []),
    ['last use', used],
    ['reaches', reaches.map(({ name, url }) => `${name} (${url})`).join(', ')],
    ['rotation', rotation ? `${rotation.id}: ${rotation.phase} (${rotation.mode})` : 'none under way'],
  ]
}

function deathOf({ since, refusedBy, exceptions }: NonNullable<Owned['dead']>): [string, string][] {
  return [
    ['dead since', since],
    ['refused by', refusedBy.join(', ') || 'no endpoint was seen to refuse it'],
    ...exceptions.map((what): [string, string] => ['not shown', what.replaceAll('_', ' ')]),
  ]
}
