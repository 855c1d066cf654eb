-- The one truth. Kafka and Redis carry wake-ups and copies.
-- Lock order everywhere: workload, then credential, then everything below it. The credential's row is the lock of
-- its rotations; the counter's row is taken last, so that positions are gap-free and in commit order.

create table counter (name text primary key, value bigint not null);
insert into counter values ('position', 0);

-- Append-only; rebuilds every rotation. Streams: `rotation/<id>`, `configuration`, `node/<name>`, `intake`.
create table journal (
  position bigint primary key,
  stream text not null,
  seq integer not null,
  type text not null,
  data jsonb not null,
  actor text not null,
  at timestamptz not null default now(),
  unique (stream, seq)
);

-- Inventory: what is configured and what is known.
create table workload (
  name text primary key,
  spec jsonb not null,
  -- What is known of it now (KnownWorkload): a change is found by comparing with this.
  known jsonb not null
);
create table credential (
  name text primary key,
  workload text not null references workload,
  purpose text not null,
  spec jsonb not null,
  -- The generation that the stores show as current; null before the first one is promoted.
  current_generation integer,
  last_generation integer not null default 0,
  -- Last revision of desired state given out to nodes.
  revision bigint not null default 0,
  open_rotation text,
  unique (workload, purpose)
);
create table rule (name text primary key, spec jsonb not null);
create table generation (
  credential text not null references credential,
  generation integer not null,
  label text check (label in ('pending', 'current', 'previous')),
  validity text not null check (validity in ('staged', 'active', 'suspended', 'revoked', 'destroyed')),
  key_id text not null,
  -- SPKI of the Ed25519 key that the value yields; null where possession cannot be proved.
  proof_key text,
  store_versions jsonb not null default '{}',
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (credential, generation)
);

-- `state` is the journal folded, kept so that a decision need not read it all; a test holds both equal.
create table rotation (
  id text primary key,
  credential text not null references credential,
  state jsonb not null,
  -- The credential's configuration when it opened; workers act on this.
  spec jsonb not null,
  opened_at timestamptz not null default now(),
  closed_at timestamptz
);
create index on rotation (credential, opened_at desc);

-- Job list, outbox and retry state in one. Its attempts and backoff are the only ones.
create table effect (
  key text primary key,
  rotation text not null references rotation,
  kind text not null,
  store text,
  epoch integer not null,
  spec jsonb not null,
  state text not null default 'pending' check (state in ('pending', 'done', 'failed', 'cancelled')),
  due timestamptz not null,
  attempt integer not null default 0,
  -- Failures since it was last armed; the backoff, and when a human is told, follow from it.
  failures integer not null default 0,
  lease_until timestamptz,
  lease_by text,
  -- Wake-ups sent so far, and when the last one was.
  relays integer not null default 0,
  relayed_at timestamptz,
  outcome jsonb,
  -- Outcomes that came too late to decide anything, kept as evidence.
  late jsonb not null default '[]',
  created_at timestamptz not null default now(),
  done_at timestamptz
);
create index on effect (due) where state = 'pending';
create index on effect (rotation);

-- Every received event once, with its verdict.
create table inbox (
  source text not null,
  id text not null,
  digest text not null,
  emitter text not null,
  verdict jsonb not null,
  received_at timestamptz not null default now(),
  primary key (source, id)
);

-- The fleet.
create table join_token (
  hash text primary key,
  node text not null,
  workload text not null references workload,
  expires_at timestamptz not null,
  used_at timestamptz
);
create table node (
  name text primary key,
  workload text not null references workload,
  state text not null default 'lost' check (state in ('live', 'lost', 'gone')),
  session bigint not null default 0,
  boot text,
  instance text,
  heard_at timestamptz,
  enrolled_at timestamptz not null default now(),
  -- Its Vault identity was taken away, after it was declared gone.
  identity_ended_at timestamptz
);
create index on node (workload) where state <> 'gone';
create table placement (
  node text not null references node,
  credential text not null references credential,
  -- Desired state.
  revision bigint not null,
  accept integer[] not null,
  refuse integer[] not null,
  floor integer not null,
  -- What the node proved in its present session.
  proved_revision bigint not null default 0,
  proved integer[] not null default '{}',
  -- What it saw when it tried refused generations on itself: [{ generation, tried }]
  refusals jsonb not null default '[]',
  proved_at timestamptz,
  -- [{ generation, inFlight, lastUsedAt (ms), requests }]
  usage jsonb not null default '[]',
  reported_at timestamptz,
  nack jsonb,
  primary key (node, credential)
);
create index on placement (credential);

-- The bytes of each audit record before it is produced, so that a resend is byte-identical.
create table audit_out (
  position bigint primary key references journal,
  sequence bigint not null unique,
  key text not null,
  bytes text not null,
  hash text not null,
  sent_at timestamptz,
  -- The rotation that waited for this record was told that the topic has it.
  settled_at timestamptz
);
create index on audit_out (sequence) where sent_at is null;
