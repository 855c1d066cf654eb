-- HMAC of a value's digest, by a key that stays in Vault: whose is a string that was found somewhere? It is kept after death.
alter table generation add column fingerprint text;
create index on generation (fingerprint);
-- Public ids are asked for by their digest, too. The doubled backslash makes the cast take every character as it is.
create index generation_key_digest on generation (encode(sha256(replace(key_id, '\', '\\')::bytea), 'hex'));
-- What has a value and no fingerprint: few, and asked for again and again.
create index generation_unfingerprinted on generation (created_at)
  where fingerprint is null and proof_key is not null and validity <> 'destroyed';
