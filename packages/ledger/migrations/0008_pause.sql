-- Until when no routine rotation goes on, and who said so: {until, by, reason}. Null: never said.
alter table credential add column paused jsonb;
