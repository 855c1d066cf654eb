-- What somebody wants to know of the backends: asked here, answered by a rotator, whose identity may list names.
create table inventory_scan (
  id bigint generated always as identity primary key,
  asked_by text not null,
  asked_at timestamptz not null default now(),
  attempt integer not null default 0,
  lease_until timestamptz,
  -- Names and dates, and nothing else of what was found.
  found jsonb,
  finished_at timestamptz
);
-- One is under way at the most: who asks meanwhile gets its answer.
create unique index inventory_scan_open on inventory_scan ((true)) where finished_at is null;
