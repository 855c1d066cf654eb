-- Rotations wait for the records of announced intents only. The question for those that still do reads them alone, and
-- not every record there is: it is asked after each entry of the journal. What an older auditor writes counts as awaited.
alter table audit_out add column awaited boolean not null default true;
update audit_out a set awaited = false from journal j
where j.position = a.position and j.type <> 'RevocationAnnounced';
create index on audit_out (sequence) where awaited and settled_at is null;
