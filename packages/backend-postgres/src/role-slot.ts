import pg from 'pg'

/**
 * The fence: one row for each login role of a pair, in the database that the pair is for. It says which generation a role
 * holds, and up to which number generations were ended. A role is altered in the transaction that changes its row, and
 * only after the row was looked at under its lock; so an installation that was paused on its way finds that its generation
 * was ended meanwhile, and does nothing.
 *
 *   free ──▶ reserved ──▶ installed ◀──▶ suspended
 *               ▲   │         │              │
 *               └───┴──── revoked ◀──────────┘
 *
 *  free       never used.
 *  reserved   a value with this role's name is being made. Not enabled. A later generation may take it over: what was
 *             installed once is given up by `revoke`, and nothing else is in anybody's way.
 *  installed  LOGIN, with this generation's password.
 *  suspended  NOLOGIN, and the password is kept.
 *  revoked    NOLOGIN, and no password. Its sessions may live on; the row says whose they are.
 *
 * Each change is one message to the server: a worker that stands still holds no lock.
 */
export type SlotState = 'free' | 'reserved' | 'installed' | 'suspended' | 'revoked'

export type Slot = {
  role: string
  state: SlotState
  generation: number | null
  verifier: string | null
  revokedThrough: number
}

/** What a change found. Anything but `done` and `held` has changed nothing. */
export type SlotVerdict =
  | 'done'
  /** It was so already. */
  | 'held'
  /** There are no rows for this pair. */
  | 'unfenced'
  /** The generation was ended. */
  | 'ended'
  /** The generation is suspended. */
  | 'suspended'
  /** The generation is not in any slot. */
  | 'absent'
  /** The generation has the other role. */
  | 'elsewhere'
  /** No role is free for it. */
  | 'full'
  /** The role may log in, and not because of us. */
  | 'foreign'

export type SlotChange = { verdict: SlotVerdict; slots: Slot[] }

/** How long a change waits for another one of the same pair. */
const LOCK_MS = 3_000

const text = (value: string) => pg.escapeLiteral(value)

async function change(client: pg.Client, pair: string, body: string): Promise<SlotChange> {
  const script = `
    begin;
    set local lock_timeout = ${LOCK_MS};
    do ${text(`
      declare
        slot rekey.role_slot;
        ended integer;
      begin
        perform from rekey.role_slot where pair = ${text(pair)} order by role for update;
        select max(revoked_through) into ended from rekey.role_slot where pair = ${text(pair)};
        if ended is null then
          perform set_config('rekey.verdict', 'unfenced', true);
          return;
        end if;
        ${body}
      end`)};
    select current_setting('rekey.verdict') as verdict;
    select role, state, generation, verifier, revoked_through as "revokedThrough"
      from rekey.role_slot where pair = ${text(pair)} order by role;
    commit;`
  const results = (await client.query(script)) as unknown as pg.QueryResult[]
  const rows = results.filter(({ command }) => command === 'SELECT').map((result) => result.rows)
  return { verdict: rows[0]?.[0]?.verdict, slots: (rows[1] ?? []) as Slot[] }
}

const say = (verdict: SlotVerdict) => `perform set_config('rekey.verdict', '${verdict}', true); return;`

/** Enabled, or on its way there: the states in which a role belongs to its generation. */
const HELD = `('reserved', 'installed', 'suspended')`

/** Keeps a role for a generation, so that its value can name it. Twice is once. */
export function reserve(client: pg.Client, pair: string, generation: number): Promise<SlotChange> {
  return change(
    client,
    pair,
    `
        perform from rekey.role_slot
          where pair = ${text(pair)} and generation = ${generation} and state in ${HELD};
        if found then ${say('held')} end if;
        if ${generation} <= ended then ${say('ended')} end if;
        -- The one that has rested longest, so that what still has a session of it has had the most time to end.
        select * into slot from rekey.role_slot
          where pair = ${text(pair)}
            and (state in ('free', 'revoked') or (state = 'reserved' and generation < ${generation}))
          order by generation nulls first, role limit 1;
        if not found then ${say('full')} end if;
        update rekey.role_slot set state = 'reserved', generation = ${generation}, verifier = null, changed_at = now()
          where role = slot.role;
        ${say('done')}`,
  )
}

export function install(
  client: pg.Client,
  pair: string,
  { generation, role, verifier }: { generation: number; role: string; verifier: string },
): Promise<SlotChange> {
  return change(
    client,
    pair,
    `
        select * into slot from rekey.role_slot
          where pair = ${text(pair)} and generation = ${generation} and state in ${HELD};
        if found and slot.state = 'suspended' then ${say('suspended')} end if;
        if found and slot.role <> ${text(role)} then ${say('elsewhere')} end if;
        if found and slot.state = 'installed' then ${say('held')} end if;
        if ${generation} <= ended then ${say('ended')} end if;
        select * into slot from rekey.role_slot
          where role = ${text(role)}
            and (state in ('free', 'revoked') or (state = 'reserved' and generation <= ${generation}));
        if not found then ${say('full')} end if;
        perform from pg_catalog.pg_roles where rolname = ${text(role)} and rolcanlogin;
        if found then ${say('foreign')} end if;
        -- Of a generation that was ended. From now on nobody could tell them from the new one's.
        perform pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where usename = ${text(role)};
        execute format('alter role %I login password %L', ${text(role)}, ${text(verifier)});
        update rekey.role_slot
          set state = 'installed', generation = ${generation}, verifier = ${text(verifier)}, changed_at = now()
          where role = ${text(role)};
        ${say('done')}`,
  )
}

export function suspend(client: pg.Client, pair: string, generation: number): Promise<SlotChange> {
  return change(
    client,
    pair,
    `
        select * into slot from rekey.role_slot
          where pair = ${text(pair)} and generation = ${generation} and state = 'installed';
        if not found then ${say('held')} end if;
        execute format('alter role %I nologin', slot.role);
        update rekey.role_slot set state = 'suspended', changed_at = now() where role = slot.role;
        ${say('done')}`,
  )
}

export function reinstate(client: pg.Client, pair: string, generation: number): Promise<SlotChange> {
  return change(
    client,
    pair,
    `
        select * into slot from rekey.role_slot
          where pair = ${text(pair)} and generation = ${generation} and state in ('installed', 'suspended');
        if not found then ${say('absent')} end if;
        if slot.state = 'installed' then ${say('held')} end if;
        execute format('alter role %I login', slot.role);
        update rekey.role_slot set state = 'installed', changed_at = now() where role = slot.role;
        ${say('done')}`,
  )
}

/** Also of a generation that was never there: it must not come later. */
export function revoke(client: pg.Client, pair: string, generation: number): Promise<SlotChange> {
  return change(
    client,
    pair,
    `
        update rekey.role_slot set revoked_through = ${generation}
          where pair = ${text(pair)} and revoked_through < ${generation};
        select * into slot from rekey.role_slot
          where pair = ${text(pair)} and generation = ${generation} and state in ${HELD};
        if not found then ${say('held')} end if;
        -- One that was only kept for it has no login of ours: if it has one, somebody else uses it.
        if slot.state <> 'reserved' then
          execute format('alter role %I nologin password null', slot.role);
        end if;
        update rekey.role_slot set state = 'revoked', verifier = null, changed_at = now() where role = slot.role;
        ${say('done')}`,
  )
}
