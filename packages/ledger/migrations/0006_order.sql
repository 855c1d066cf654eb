-- Orders that were given with a key of their own: a repeat gets the first answer, and does nothing.
create table order_given (
  key text primary key,
  digest text not null,
  answer jsonb,
  given_at timestamptz not null default now()
);
create index on order_given (given_at);
