-- Who answers for workloads, and where they are told.
create table owner (
  name text primary key,
  spec jsonb not null,
  created_at timestamptz not null default now()
);
-- What people are to be told, once for each target: the journal entry is the intent, this row its outcome.
create table notification (
  position bigint not null,
  owner text not null,
  target text not null,
  rotation text not null,
  notice jsonb not null,
  state text not null default 'pending' check (state in ('pending', 'sent', 'failed')),
  attempts integer not null default 0,
  due timestamptz not null default now(),
  error text,
  sent_at timestamptz,
  primary key (position, owner, target)
);
create index on notification (due) where state = 'pending';
create index on notification (rotation);
-- Up to which journal entry people were told. What happened before this release is nobody's news.
create table notified (position bigint not null);
insert into notified select coalesce(max(position), 0) from journal;
