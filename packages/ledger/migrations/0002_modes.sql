-- Emergencies, offboarding and excused nodes. Only additions: processes of the release before go on beside these.

alter table credential
  -- What each store shows by our last word: { store: its own version }. A promotion expects to replace exactly that.
  add column shown jsonb not null default '{}',
  -- When the stores last moved.
  add column moved_at timestamptz,
  -- It was offboarded: changes no longer rotate it.
  add column retired_at timestamptz;
update credential c set shown = coalesce(
  (select store_versions from generation g where g.credential = c.name and g.generation = c.current_generation), '{}');

alter table generation add column compromised_at timestamptz;

-- Nothing waits for this node's proof until then: { by, reason, until (ms) }.
alter table placement add column excused jsonb;
