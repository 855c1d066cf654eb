-- After an older backup was restored: what `rekey recover` held, found and released. Only additions.

create table recovery (
  -- The time of it, so that a second restore of the same backup makes another one.
  id text primary key,
  asked_by text not null,
  reason text not null,
  asked_at timestamptz not null default now(),
  -- The last record that the audit topic had, to go on from. Null: the auditor has not asked the topic yet.
  audit_sequence bigint,
  audit_hash text
);

create table recovery_item (
  recovery text not null references recovery,
  credential text not null references credential,
  -- What the ledger believed to be current, and the rotation that was open in it.
  believed integer,
  closed_rotation text,
  -- Causes that came meanwhile, or that had not been begun: one rotation follows for all of them.
  waiting jsonb not null default '[]',
  -- What stores and endpoints showed (Found). Looked at again and again until it is whole.
  found jsonb,
  looked_at timestamptz,
  inspected_at timestamptz,
  error text,
  -- Until then nothing is done about the credential.
  released_at timestamptz,
  released_by text,
  rotation text,
  primary key (recovery, credential)
);
create unique index on recovery_item (credential) where released_at is null;
