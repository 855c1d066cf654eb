import { createHash, randomBytes } from 'node:crypto'
import { type Nack, RekeyError } from '@rekey/contracts'
import { desired, endsAnAttempt } from '@rekey/core'
import { KnownWaves, recordAcks } from './acks.ts'
import { recordClients } from './clients.ts'
import { clock, type Database, type Queryable } from './database.ts'
import { desiredStates, readPlace } from './desired-states.ts'
import type { FleetLedger, JoinedNode, NodeIdentity } from './fleet-ledger.ts'
import { isNewer, isOurs, readState } from './format.ts'
import { append } from './journal.ts'
import { recordKnocks } from './knocks.ts'
import { sessionOpener } from './sessions.ts'
import { lockCredential, lockCredentialsOf, submitIn } from './submit.ts'
import { recordUsage } from './usage.ts'

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

/** Makes a one-use join token for one node of one workload. Only its hash is kept. */
export async function createJoinToken(
  db: Database,
  request: { node: string; workload: string; ttlMs: number; actor: string },
): Promise<{ token: string; expiresAt: string }> {
  const token = randomBytes(32).toString('base64url')
  return db.transaction(async (tx) => {
    const { node, workload, ttlMs, actor } = request
    const { rows: known } = await tx.query('select from workload where name = $1', [workload])
    if (!known[0]) throw new RekeyError('not_found', `there is no workload named ${workload}`)
    const { rows: other } = await tx.query(
      "select workload from node where name = $1 and workload <> $2 and state <> 'gone'",
      [node, workload],
    )
    if (other[0])
      throw new RekeyError(
        'not_allowed_now',
        `node ${node} serves ${other[0].workload}; declare it gone first`,
      )
    const { rows } = await tx.query(
      `insert into join_token (hash, node, workload, expires_at)
       values ($1, $2, $3, now() + $4 * interval '1 millisecond') returning expires_at`,
      [hashOf(token), node, workload, ttlMs],
    )
    await append(tx, `node/${node}`, actor, [{ type: 'JoinTokenMade', node, workload }])
    return { token, expiresAt: rows[0].expires_at.toISOString() }
  })
}

/** Only the platform or a human says that a node is gone; silence never does. */
export async function declareGone(db: Database, node: string, actor: string, reason: string): Promise<void> {
  await db.transaction(async (tx) => {
    const credentials = await lockCredentialsOf(tx, [node])
    const { rows } = await tx.query("update node set state = 'gone' where name = $1 returning name", [node])
    if (!rows[0]) throw new RekeyError('not_found', `there is no node named ${node}`)
    // Before what it leads to, so that a reader of the journal knows why.
    await append(tx, `node/${node}`, actor, [{ type: 'NodeGone', node, reason }])
    await nodesChanged(tx, credentials, actor)
  })
}

/** Nothing waits for this node's proof for a while: somebody answers for it. It must refuse what is dead all the same. */
export async function excuse(
  db: Database,
  node: string,
  about: { credential?: string; actor: string; reason: string; forMs: number },
): Promise<void> {
  const { credential, actor, reason, forMs } = about
  await db.transaction(async (tx) => {
    const credentials = (await lockCredentialsOf(tx, [node])).filter(
      (c) => credential === undefined || c === credential,
    )
    const until = (await clock(tx)) + forMs
    const { rows } = await tx.query(
      'update placement set excused = $3 where node = $1 and credential = any($2) returning credential',
      [node, credentials, JSON.stringify({ by: actor, reason, until })],
    )
    if (rows.length === 0)
      throw new RekeyError(
        'not_found',
        `there is no node named ${node}${credential ? ` that holds ${credential}` : ''}`,
      )
    const excused = { node, credentials, reason, until: new Date(until).toISOString() }
    await append(tx, `node/${node}`, actor, [{ type: 'NodeExcused', ...excused }])
    await nodesChanged(tx, credentials, actor)
  })
}

/** Silence is no proof of anything: it is still expected. Only a containment does not wait for a lost node. */
export async function loseSilent(db: Database, ms: number): Promise<void> {
  const { rows } = await db.pool.query(
    `update node set state = 'lost'
     where state = 'live' and heard_at < now() - $1 * interval '1 millisecond' returning name`,
    [ms],
  )
  await tellContainments(
    db,
    rows.map((row) => row.name),
  )
}

async function tellContainments(db: Database, lost: string[]): Promise<void> {
  if (lost.length === 0) return
  const { rows } = await db.pool.query(
    `select distinct r.id from node n join credential c on c.workload = n.workload join rotation r on r.id = c.open_rotation
     where n.name = any($1) and r.state ->> 'mode' = 'contain' and ${isOurs('$2')}`,
    [lost, db.format],
  )
  for (const { id } of rows) await db.transaction((tx) => submitIn(tx, id, { type: 'NodesChanged' }, 'fleet'))
}

async function nodesChanged(tx: Queryable, credentials: string[], actor: string): Promise<void> {
  const { rows } = await tx.query(
    'select open_rotation from credential where name = any($1) and open_rotation is not null order by name',
    [credentials],
  )
  for (const row of rows) await submitIn(tx, row.open_rotation, { type: 'NodesChanged' }, actor)
}

export function fleetLedger(db: Database): FleetLedger {
  const waves = new KnownWaves()
  return {
    redeemJoinToken: (node, token) => db.transaction((tx) => redeem(tx, node, token)),
    joinByIdentity: (identity) => db.transaction((tx) => join(tx, identity)),
    openSession: sessionOpener(db),
    async readsAllowed(node, reads) {
      await db.pool.query('update node set reads = $2 where name = $1', [node, reads])
    },
    async closeSession(node, session) {
      const { rows } = await db.pool.query(
        "update node set state = 'lost' where name = $1 and session = $2 and state = 'live' returning name",
        [node, session],
      )
      await tellContainments(
        db,
        rows.map((row) => row.name),
      )
    },
    desiredStates: (nodes) => desiredStates(db.pool, nodes),
    async urgent() {
      const { rows } = await db.pool.query(
        `select e.key as effect, e.spec -> 'nodes' as nodes from effect e join rotation r on r.id = e.rotation
         where e.state = 'pending' and e.kind = 'deliver' and e.due <= clock_timestamp() and r.state ->> 'mode' <> 'rotate'
         order by e.due, e.key limit 20`,
        [],
      )
      return rows
    },
    async proofKeys(credential) {
      const { rows } = await db.pool.query(
        'select generation, proof_key from generation where credential = $1 and proof_key is not null',
        [credential],
      )
      return new Map(rows.map((row) => [row.generation, row.proof_key]))
    },
    recordAcks: (acks) => recordAcks(db, waves, acks),
    recordNacks: (nacks) => recordNacks(db, nacks),
    recordUsage: (reports) => recordUsage(db, reports),
    recordClients: (reports) => recordClients(db, reports),
    recordKnocks: (reports) => recordKnocks(db, reports),
    async goneNodes() {
      const { rows } = await db.pool.query(
        "select name from node where state = 'gone' and identity_ended_at is null order by name limit 100",
      )
      return rows.map((row) => row.name)
    },
    async identityEnded(node) {
      await db.pool.query("update node set identity_ended_at = now() where name = $1 and state = 'gone'", [
        node,
      ])
    },
    async heard(nodes) {
      await db.pool.query(
        // A node that was taken for lost is heard in its session, so it was not.
        `update node n set heard_at = now(), state = case when n.state = 'lost' then 'live' else n.state end from jsonb_to_recordset($1::jsonb) as h (node text, session bigint)
         where n.name = h.node and n.session = h.session`,
        [JSON.stringify(nodes)],
      )
    },
  }
}

async function redeem(tx: Queryable, node: string, token: string): Promise<JoinedNode | undefined> {
  const { rows } = await tx.query(
    `update join_token t set used_at = now()
     where hash = $1 and node = $2 and used_at is null and expires_at > now()
       and not exists (
         select from node n where n.name = t.node and n.workload <> t.workload and n.state <> 'gone')
     returning workload`,
    [hashOf(token), node],
  )
  const workload: string | undefined = rows[0]?.workload
  return workload === undefined ? undefined : join(tx, { node, workload })
}

/** `svid`: it comes with a certificate, and without it, with a token that a human made for it. */
async function join(
  tx: Queryable,
  { node, workload, svid }: Omit<NodeIdentity, 'svid'> & Partial<NodeIdentity>,
): Promise<JoinedNode> {
  // The workload's lock: a credential that is being made now sees this node, or this node sees it.
  const { rows: known } = await tx.query('select from workload where name = $1 for update', [workload])
  if (!known[0]) throw new RekeyError('not_found', `there is no workload named ${workload}`)
  const { rows: locked } = await tx.query(
    'select name, spec, current_generation, revision, open_rotation from credential where workload = $1 order by name for update',
    [workload],
  )
  const isIn =
    (await enter(tx, node, workload, svid === undefined)) ||
    ((await isInvited(tx, node, workload)) && (await enter(tx, node, workload, true)))
  if (!isIn) throw await needsHuman(tx, node)
  await tx.query('delete from placement where node = $1 and credential <> all($2)', [
    node,
    locked.map((row) => row.name),
  ])
  for (const row of locked) {
    const { rows: open } = await tx.query('select state from rotation where id = $1', [row.open_rotation])
    const rotation = open[0] && readState(open[0].state, tx.format)
    const { accept, refuse, floor } = desired(rotation, row.current_generation)
    await tx.query(
      `insert into placement (node, credential, revision, accept, refuse, floor) values ($1, $2, $3, $4, $5, $6)
       on conflict (node, credential) do update set revision = excluded.revision, accept = excluded.accept,
         refuse = excluded.refuse, floor = excluded.floor, proved_revision = 0, proved = '{}',
         usage = '[]', reported_at = null, nack = null, watched = null`,
      [node, row.name, row.revision, accept, refuse, floor],
    )
  }
  await append(tx, `node/${node}`, `node/${node}`, [
    { type: 'NodeEnrolled', node, workload, ...(svid !== undefined && { svid }) },
  ])
  await nodesChanged(
    tx,
    locked.map((row) => row.name),
    `node/${node}`,
  )
  const credentials = locked.map((row) => ({ credential: row.name, ...readPlace(row.spec) }))
  return { node, workload, credentials }
}

/** False: it serves another workload, or was declared gone, and nobody says that it may. */
async function enter(tx: Queryable, node: string, workload: string, isInvited: boolean): Promise<boolean> {
  const { rows } = await tx.query(
    `insert into node (name, workload) values ($1, $2)
     on conflict (name) do update set workload = excluded.workload, state = 'lost',
       session = node.session + 1, identity_ended_at = null, reads = null
       where $3 or (node.workload = excluded.workload and node.state <> 'gone')
     returning name`,
    [node, workload, isInvited],
  )
  return rows.length > 0
}

/** An open token says that a human wants the node there, also where the node comes with a certificate. It is used up. */
async function isInvited(tx: Queryable, node: string, workload: string): Promise<boolean> {
  const { rows } = await tx.query(
    `update join_token set used_at = now()
     where node = $1 and workload = $2 and used_at is null and expires_at > now() returning node`,
    [node, workload],
  )
  return rows.length > 0
}

/** Whoever may change what SPIRE issues does not thereby decide which keys a node reads, or that it is back. */
async function needsHuman(tx: Queryable, node: string): Promise<RekeyError> {
  const { rows } = await tx.query('select workload, state from node where name = $1', [node])
  const { workload, state } = rows[0] ?? {}
  const why =
    state === 'gone'
      ? `node ${node} was declared gone: if it shall come back,`
      : `node ${node} serves ${workload}: if it shall move, declare it gone, and`
  return new RekeyError('not_allowed_now', `${why} make a join token for it`)
}

/** What so many nodes of a wave have said of a trouble that passes is said: a decision for each of thousands would hold everything up. */
const SAID_ENOUGH = 20

async function recordNacks(db: Database, nacks: (Nack & { node: string })[]): Promise<void> {
  for (const nack of nacks) {
    if (!(await isNews(db, nack))) continue
    const { node, credential, revision, session, generation, reason, detail } = nack
    await db.transaction(async (tx) => {
      const row = await lockCredential(tx, credential)
      const { rows } = await tx.query(
        `update placement p set nack = $5 from node n
         where p.node = $1 and p.credential = $2 and p.revision = $3 and n.name = p.node and n.session = $4
           and n.state <> 'gone' returning p.node`,
        [node, credential, revision, session, JSON.stringify({ reason, detail, generation })],
      )
      if (!rows[0] || row.open_rotation === null) return
      const { rows: open } = await tx.query('select state from rotation where id = $1', [row.open_rotation])
      if (isNewer(open[0].state, db.format)) return
      const input = { type: 'NodeNacked', node, revision, generation, reason, detail } as const
      await submitIn(tx, row.open_rotation, input, `node/${node}`, row)
    })
  }
}

/** False: it is late, was said before, or adds nothing to what others say. The last of these is written, and decides nothing. */
async function isNews(
  db: Database,
  { node, credential, revision, session, generation, reason, detail }: Nack & { node: string },
): Promise<boolean> {
  const { rows } = await db.pool.query(
    `select (select count(*) from (
       select from placement o where o.credential = $2 and o.revision = $3 and o.nack is not null limit ${SAID_ENOUGH}) as said)::int as said
     from placement p join node n on n.name = p.node
     where p.node = $1 and p.credential = $2 and p.revision = $3 and n.session = $4 and n.state <> 'gone'
       and p.nack ->> 'reason' is distinct from $5`,
    [node, credential, revision, session, reason],
  )
  if (!rows[0]) return false
  if (endsAnAttempt(reason) || rows[0].said < SAID_ENOUGH) return true
  await db.pool.query(
    'update placement set nack = $4 where node = $1 and credential = $2 and revision = $3',
    [node, credential, revision, JSON.stringify({ reason, detail, generation })],
  )
  return false
}
