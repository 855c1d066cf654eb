# Enrols nodes: signs a node's certificate request, issues its own server certificate, and gives each node a role of its
# own. A policy cannot limit what another policy grants, so the `rekey-node-` prefix is where this trust ends: whoever
# holds this identity can let a node read anything.
path "pki/sign/rekey-node"    { capabilities = ["create", "update"] }
path "pki/issue/rekey-server" { capabilities = ["create", "update"] }
path "pki/cert/ca"            { capabilities = ["read"] }

path "auth/approle/role/rekey-node-*"    { capabilities = ["create", "read", "update", "delete"] }
path "sys/policies/acl/rekey-node-*"     { capabilities = ["create", "read", "update", "delete"] }
