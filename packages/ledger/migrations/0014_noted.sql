-- What an effect found outside before its first act, for its later attempts.
alter table effect add column noted jsonb;
