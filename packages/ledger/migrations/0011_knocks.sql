-- Nothing here refers to another table: that would lock the credential's row, which is the lock of its rotations, and what
-- nodes tell of clients must not stand in front of an emergency.

-- By whom live generations are used, as their nodes count it: at most 50 addresses for each generation on a node.
create table client_use (
  node text not null,
  credential text not null,
  generation integer not null,
  address text not null,
  requests bigint not null,
  -- The node's counter when it was reported last. A lower one begins anew: its gateway was restarted.
  reported bigint not null,
  first_used_at timestamptz not null,
  last_used_at timestamptz not null,
  primary key (node, credential, generation, address)
);
create index on client_use (credential, generation);
-- Requests with dead generations: at most 100 addresses for each of them.
create table knock (
  credential text not null,
  generation integer not null,
  address text not null,
  node text not null,
  requests bigint not null,
  reported bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (credential, generation, address, node)
);
-- How many of them the journal has told of, and when it did so last. Address '': those that were not told one by one.
create table knock_told (
  credential text not null,
  generation integer not null,
  address text not null,
  requests bigint not null,
  at timestamptz not null,
  primary key (credential, generation, address)
);
-- The dead generations that a node would notice; null: it never said so, and notices none.
alter table placement add column watched integer[];
