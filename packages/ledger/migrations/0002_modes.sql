-- Emergencies, offboarding and excused nodes. Only additions: processes of the release before go on beside these.

alter table credential
  -- What each store shows by our last word: { store: its own version }. A promotion expects to replace exactly that.
  add column shown jsonb not null default '{}',
  -- When the stores last moved.
  add column moved_at timestamptz,
  -- It was offboarded: changes no longer rotate it.
  add column retired_at timestamptz;
update credential c set shown =
  coalesce((select store_versions from generation g where g.credential = c.name and g.generation = c.current_generation), '{}')
  -- In mid-promotion: the stores that have moved already, and were not put back.
  || coalesce((
    select jsonb_object_agg(moved.key, moved.value) from rotation r
    join generation g on g.credential = c.name and g.generation = (r.state #>> '{successor,generation}')::int
    cross join jsonb_each(g.store_versions) as moved
    where r.id = c.open_rotation
      and not exists (select from jsonb_array_elements(r.state -> 'retirements') x where x -> 'restored' ? moved.key)), '{}');

alter table generation add column compromised_at timestamptz;

-- Nothing waits for this node's proof until then: { by, reason, until (ms) }.
alter table placement add column excused jsonb;
