# A demo client: whatever is current, and nothing that is still staged.
path "secret/data/*"               { capabilities = ["read"] }
path "secret/data/rekey-staging/*" { capabilities = ["deny"] }
