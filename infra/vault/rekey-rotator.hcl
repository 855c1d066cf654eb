# Makes, stages, promotes and destroys values. It never needs to read another mount, a policy or a role.
path "secret/data/*"     { capabilities = ["create", "read", "update", "patch", "list", "delete"] }
path "secret/metadata/*" { capabilities = ["create", "read", "update", "patch", "list", "delete"] }
path "secret/delete/*"   { capabilities = ["create", "update"] }
path "secret/destroy/*"  { capabilities = ["create", "update"] }
# Makes the fingerprint of each value, by which it is known again if it leaks.
path "transit/hmac/rekey-fingerprint/sha2-256" { capabilities = ["update"] }
