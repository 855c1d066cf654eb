-- The places that a node was last allowed to read in Vault, as fleet writes them; null: not known. An instance that starts need not
-- write them again for each node that connects.
alter table node add column reads text;
