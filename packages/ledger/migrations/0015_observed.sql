-- Rotations whose drain is watched at the authority are found without reading the states of all that are open.
alter table rotation add column observed boolean not null
  generated always as (coalesce(state -> 'plan' ->> 'evidence', '') = 'observed') stored;
create index rotation_observed on rotation (id) where observed and closed_at is null;
