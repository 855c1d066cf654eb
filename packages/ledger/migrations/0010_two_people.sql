-- Orders that policies allow with the agreement of a second person. An approval is for one order of one requester, once.
create table approval (
  id text primary key,
  -- As the journal names who asks.
  requester text not null,
  action text not null,
  -- {type, id}, and of a credential also its workload, environment and owner as they were.
  resource jsonb not null,
  blast_radius integer not null,
  -- Of what is ordered, without who and why.
  digest text not null,
  reason text not null,
  ticket text,
  asked_at timestamptz not null default now(),
  expires_at timestamptz not null,
  approver text,
  approved_at timestamptz,
  used_at timestamptz,
  -- The idempotency key that the order was carried out under: a repeat of it needs no other approval.
  used_key text
);
create index on approval (requester, digest);
create index on approval (expires_at);

-- Break-glass tokens that were used. The first use starts the clock.
create table break_glass (
  token text primary key,
  person text not null,
  opened_at timestamptz not null default now(),
  ends_at timestamptz not null
);
-- What is ordered under a token, for the budget of policies: noted before the policies are asked.
create table break_glass_reach (
  use text primary key,
  token text not null references break_glass,
  resource jsonb not null
);
create index on break_glass_reach (token);
-- Uses that came from the spool of a control, each once.
create table break_glass_use (use text primary key);
