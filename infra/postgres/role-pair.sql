-- What the authority postgres-role-pair needs in a database. Run it there as a superuser, as often as you like:
--
--   psql -f role-pair.sql shop
--   psql -c "create role rekey_shop login createrole password '…'" shop       -- the manager of the pair: Rekey's connection
--   psql -c "call rekey.make_role_pair('shop_app', 'shop_owner', 'rekey_shop')" shop
--
-- The last line makes the login roles shop_app_a and shop_app_b, which act as shop_owner. PostgreSQL 13 or newer.

create schema if not exists rekey;

-- The fence: see packages/backend-postgres/src/role-slot.ts.
create table if not exists rekey.role_slot (
  role name primary key,
  pair name not null,
  state text not null default 'free' check (state in ('free', 'reserved', 'installed', 'suspended', 'revoked')),
  generation integer check ((generation is null) = (state = 'free')),
  verifier text check ((verifier is not null) = (state in ('installed', 'suspended'))),
  revoked_through integer not null default 0,
  changed_at timestamptz not null default now()
);
-- What the server keeps of a password is not for everybody.
revoke all on rekey.role_slot from public;

create or replace procedure rekey.make_role_pair(pair_name name, owner_name name, manager_name name)
language plpgsql as $$
declare
  login_role name;
  -- Before 16 CREATEROLE is enough to alter them, and this grant has no options.
  manages text := case when current_setting('server_version_num')::int >= 160000
    then 'with admin true, inherit false, set false' else 'with admin option' end;
begin
  if not exists (select from pg_roles where rolname = owner_name) then
    execute format('create role %I nologin', owner_name);
  end if;
  foreach login_role in array array[pair_name || '_a', pair_name || '_b']::name[] loop
    if not exists (select from pg_roles where rolname = login_role) then
      execute format('create role %I nologin', login_role);
    end if;
    execute format('grant %I to %I', owner_name, login_role);
    execute format('alter role %I set role = %L', login_role, owner_name);
    -- Roles belong to the server, the fence to one database: so every other one says where it is.
    execute format('comment on role %I is %L', login_role, 'rekey: fenced in database ' || current_database());
    execute format('grant %I to %I %s', login_role, manager_name, manages);
    insert into rekey.role_slot (role, pair) values (login_role, pair_name) on conflict (role) do nothing;
  end loop;
  execute format('grant usage on schema rekey to %I', manager_name);
  execute format('grant select, update on rekey.role_slot to %I', manager_name);
  execute format('grant pg_signal_backend to %I', manager_name);
end
$$;
revoke all on procedure rekey.make_role_pair from public;
