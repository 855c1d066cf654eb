import { RekeyError } from '@rekey/contracts'
import type { Database, Queryable } from './database.ts'
import { desiredStates } from './desired-states.ts'
import type { FleetLedger, NodeOrder } from './fleet-ledger.ts'
import { lockCredentialsOf } from './submit.ts'
import { Together } from './together.ts'

export type SessionRequest = Parameters<FleetLedger['openSession']>[0]
type Opened = { session: number; desired: NodeOrder[]; reads: string | null }

/**
 * Opens sessions of nodes, those that come together in one transaction: each takes the lock of its credentials, and a fleet that
 * connects again would wait for it node by node.
 */
export function sessionOpener(db: Database): (request: SessionRequest) => Promise<Opened> {
  const together = new Together<SessionRequest, Opened>({
    most: 100,
    keyOf: ({ node }) => node,
    run: (requests) => db.transaction((tx) => openSessions(tx, requests)),
  })
  return (request) => together.add(request)
}

/** A new session knows nothing: what an older one proved does not count any more. */
async function openSessions(tx: Queryable, requests: SessionRequest[]): Promise<(Opened | RekeyError)[]> {
  const nodes = requests.map(({ node }) => node)
  await lockCredentialsOf(tx, nodes)
  // In an order, in which acks and waves lock them too, so that no two can wait for each other.
  await tx.query('select from node where name = any($1) order by name for update', [nodes])
  await tx.query('select from placement where node = any($1) order by node, credential for update', [nodes])
  const { rows } = await tx.query(
    `update node n set session = n.session + 1, boot = r.boot, instance = r.instance, labels = r.labels, state = 'live', heard_at = now()
     from jsonb_to_recordset($1::jsonb) as r (node text, boot text, instance text, labels jsonb)
     where n.name = r.node and n.state <> 'gone' returning n.name, n.session, n.reads`,
    [JSON.stringify(requests.map(({ labels = {}, ...request }) => ({ ...request, labels })))],
  )
  const opened = new Map<string, Omit<Opened, 'desired'>>(
    rows.map(({ name, session, reads }) => [name, { session: Number(session), reads }]),
  )
  await tx.query(
    `update placement p set proved_revision = 0, proved = '{}', manifest = (
       select m from jsonb_array_elements(r.adapters) as m where m ->> 'credential' = p.credential limit 1)
     from jsonb_to_recordset($1::jsonb) as r (node text, adapters jsonb) where p.node = r.node`,
    [
      JSON.stringify(
        requests.flatMap(({ node, adapters = [] }) => (opened.has(node) ? [{ node, adapters }] : [])),
      ),
    ],
  )
  const desired = await desiredStates(tx, [...opened.keys()])
  return nodes.map((node) => {
    const one = opened.get(node)
    if (!one) return new RekeyError('permission_denied', `node ${node} is not enrolled, or was declared gone`)
    return { ...one, desired: desired.get(node) ?? [] }
  })
}
