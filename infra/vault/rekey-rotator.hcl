# Makes, stages, promotes and destroys values. It never needs to read another mount or a policy.
path "secret/data/*"     { capabilities = ["create", "read", "update", "patch", "list", "delete"] }
path "secret/metadata/*" { capabilities = ["create", "read", "update", "patch", "list", "delete"] }
path "secret/delete/*"   { capabilities = ["create", "update"] }
path "secret/destroy/*"  { capabilities = ["create", "update"] }
# Makes the fingerprint of each value, by which it is known again if it leaks.
path "transit/hmac/rekey-fingerprint/sha2-256" { capabilities = ["update"] }
# Rotates the secret ids of the roles of one mount, `workloads`. Whoever may make a secret id of a role can be that role: keep
# Rekey's own roles, and whatever it shall not be, on other mounts.
path "auth/workloads/role/+"                             { capabilities = ["read"] }
path "auth/workloads/role/+/role-id"                     { capabilities = ["read"] }
path "auth/workloads/role/+/secret-id"                   { capabilities = ["create", "update", "list"] }
path "auth/workloads/role/+/secret-id-accessor/lookup"   { capabilities = ["create", "update"] }
path "auth/workloads/role/+/secret-id-accessor/destroy"  { capabilities = ["create", "update"] }
# Whether failed logins lock out a role: nothing is made where they do.
path "sys/auth" { capabilities = ["read"] }
# Asks the database secrets engine for logins, by tokens that may do that alone, and ends them. The leases of other roles it can
# neither list nor end.
path "auth/token/create/rekey-database" { capabilities = ["create", "update"] }
path "database/roles/rekey-*"           { capabilities = ["read"] }
# Vault asks for sudo here; a list of leases holds no secret.
path "sys/leases/lookup/database/creds/rekey-*" { capabilities = ["list", "sudo"] }
path "sys/leases/lookup" {
  capabilities       = ["create", "update"]
  allowed_parameters = { "lease_id" = ["database/creds/rekey-*"] }
}
path "sys/leases/renew" {
  capabilities       = ["create", "update"]
  allowed_parameters = { "lease_id" = ["database/creds/rekey-*"], "increment" = [] }
}
path "sys/leases/revoke" {
  capabilities       = ["create", "update"]
  allowed_parameters = { "lease_id" = ["database/creds/rekey-*"], "sync" = [] }
}
# Reads static roles of the database secrets engine, and their passwords. To change one it makes tokens that may do that alone, and live for seconds.
path "auth/token/create/rekey-database-static" { capabilities = ["create", "update"] }
path "database/static-roles/rekey-*"           { capabilities = ["read"] }
path "database/static-creds/rekey-*"           { capabilities = ["read"] }
# Has certificates issued by the roles of one mount, `pki-workloads`, and revokes them. Whoever may issue by a role can be whoever the
# role allows: keep Rekey's own certificates, and whatever it shall not issue, on other mounts.
path "pki-workloads/roles/+"       { capabilities = ["read"] }
path "pki-workloads/issue/+"       { capabilities = ["create", "update"] }
path "pki-workloads/certs"         { capabilities = ["list"] }
path "pki-workloads/certs/revoked" { capabilities = ["list"] }
path "pki-workloads/revoke"        { capabilities = ["create", "update"] }
# Whether there is a CRL, and whether it must be made anew to show a revocation.
path "pki-workloads/config/crl"    { capabilities = ["read"] }
path "pki-workloads/crl/rotate"    { capabilities = ["read"] }
