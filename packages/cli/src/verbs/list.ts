import { Argument, type Command } from 'commander'
import { Complaint } from '../complaint.ts'
import { EXIT } from '../exit-code.ts'
import { table } from '../table.ts'
import type { AddVerb, Run } from '../verb.ts'

type ListOptions = { credential?: string; limit: string }

export function addList(verb: AddVerb, program: Command): void {
  verb<ListOptions>(program, {
    usage: 'list',
    summary: 'List credentials (the default), rotations, nodes, or approvals that somebody asks for.',
    example: 'rekey list rotations --credential chat-gateway-key',
    exits: [EXIT.closed, EXIT.failed],
    options: (command) =>
      command
        .addArgument(
          new Argument('[what]')
            .choices(['credentials', 'rotations', 'nodes', 'approvals'])
            .default('credentials'),
        )
        .option('--credential <name>', 'rotations of this credential only')
        .option('--limit <n>', 'at most so many rotations', '50'),
    async run(run, [what], options) {
      if (what === 'rotations') await listRotations(run, options)
      else if (what === 'nodes') await listNodes(run)
      else if (what === 'approvals') await listApprovals(run)
      else await listCredentials(run)
      return EXIT.closed
    },
  })
}

async function listCredentials({ client, print }: Run): Promise<void> {
  const credentials = await client.credentials()
  const hasDrift = credentials.some((c) => c.drift)
  const rows = credentials.map((c) => [
    c.name,
    c.workload,
    c.environment,
    c.owner,
    c.currentGeneration,
    `${c.nodes.live} live${c.nodes.lost > 0 ? `, ${c.nodes.lost} lost` : ''}`,
    c.openRotation,
    ...(hasDrift ? [c.drift?.stores.map(({ store }) => store).join(', ')] : []),
  ])
  const head = ['CREDENTIAL', 'WORKLOAD', 'ENVIRONMENT', 'OWNER', 'GENERATION', 'NODES', 'ROTATION']
  print(credentials, table(hasDrift ? [...head, 'DRIFT'] : head, rows))
}

async function listRotations({ client, print }: Run, options: ListOptions): Promise<void> {
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1)
    throw new Complaint('bad_usage', `"${options.limit}" is not a count`, 'Give --limit a whole number.')
  const { credential } = options
  const rotations = await client.rotations({ limit, ...(credential === undefined ? {} : { credential }) })
  const rows = rotations.map((r) => [
    r.id,
    r.goal === 'replace' ? r.mode : `${r.mode}, offboarding`,
    r.hold ? `${r.phase} (held)` : r.phase,
    r.openedAt.slice(0, 19).replace('T', ' '),
    r.closedAt?.slice(0, 19).replace('T', ' '),
    r.cause.rule === undefined ? r.cause.reason : `rule ${r.cause.rule}: ${r.cause.reason}`,
  ])
  print(rotations, table(['ROTATION', 'MODE', 'PHASE', 'OPENED (UTC)', 'CLOSED (UTC)', 'CAUSE'], rows))
}

export async function listNodes({ client, print }: Run): Promise<void> {
  const nodes = await client.nodes()
  const rows = nodes.map((n) => [n.node, n.workload, n.state, n.heardAt?.slice(0, 19).replace('T', ' ')])
  print(nodes, table(['NODE', 'WORKLOAD', 'STATE', 'LAST HEARD (UTC)'], rows))
}

async function listApprovals({ client, print }: Run): Promise<void> {
  const approvals = await client.approvals()
  const rows = approvals.map((a) => [
    a.id,
    a.state,
    a.requester,
    `${a.action} ${'id' in a.resource ? a.resource.id : 'everything'}`,
    a.blastRadius,
    a.expiresAt.slice(0, 19).replace('T', ' '),
    a.approver,
    a.ticket ? `${a.reason} (${a.ticket})` : a.reason,
  ])
  const head = ['APPROVAL', 'STATE', 'ASKED BY', 'ORDER', 'NODES', 'UNTIL (UTC)', 'AGREED', 'REASON']
  print(approvals, table(head, rows))
}
