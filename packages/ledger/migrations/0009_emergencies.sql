-- Emergencies (expedite, contain) go first. Computed by the database, so that what an older process writes counts as well,
-- and at once where a rotation is raised. A column, because an index on the state itself would cost every decision more.
alter table rotation add column emergency boolean not null
  generated always as (coalesce(state ->> 'mode', 'rotate') <> 'rotate') stored;
-- Few: what is due for them is found by it, however much else is due.
create index rotation_emergency on rotation (id) where emergency and closed_at is null;

-- A page of what is due ends at its limit, also where thousands are due at one moment; and who asks for timers, or for
-- deliveries, does not look through all the rest. In place of one index on `due`, whose questions these answer as well.
create index effect_work_due on effect (due, key) where state = 'pending' and kind <> 'timer';
create index effect_deliver_due on effect (due, key) where state = 'pending' and kind = 'deliver';
create index effect_timer_due on effect (due, key) where state = 'pending' and kind = 'timer';
drop index effect_due_idx;
