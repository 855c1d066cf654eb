-- What agents say of their nodes: what waves may go by, and how long a value may stay in use there.
alter table node add column labels jsonb not null default '{}';
alter table placement add column manifest jsonb;
