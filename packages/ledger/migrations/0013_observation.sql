-- What the authority showed of a generation that is being drained: how many sessions it had, and when it last had one.
create table observation (
  credential text not null references credential,
  generation integer not null,
  looked_at timestamptz not null,
  sessions integer not null,
  last_used_at timestamptz,
  primary key (credential, generation)
);
