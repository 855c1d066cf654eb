-- What somebody changed in a store by hand, and Rekey did not write. Nothing here refers to another table: that would lock the
-- credential's row, which is the lock of its rotations.
create table drift (
  id bigint generated always as identity primary key,
  credential text not null,
  -- The one in use when it was found.
  generation integer not null,
  found_at timestamptz not null default now(),
  -- DriftedStore[], as they were seen last.
  stores jsonb not null,
  -- Who wants it settled, and by which rotation; null: nobody, so far.
  ordered jsonb,
  settled_at timestamptz
);
create unique index drift_open on drift (credential) where settled_at is null;

-- When each credential's stores are looked at.
create table drift_look (
  credential text primary key,
  due timestamptz not null,
  -- How often somebody asked for a look, and which of these was the last to be answered.
  asked integer not null default 0,
  answered integer not null default 0,
  attempt integer not null default 0,
  lease_until timestamptz,
  looked_at timestamptz,
  -- StoreVerdict[] of the last look.
  stores jsonb not null default '[]'
);
create index on drift_look (due);
