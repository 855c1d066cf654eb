# Of the tokens that the rotator makes, one for each login to a database: the login ends with its token. Roles for Rekey have names of
# their own, because whoever may ask a role for a login can be whatever that role makes.
path "database/creds/rekey-*" { capabilities = ["read"] }
# What could not be kept is ended at once.
path "auth/token/revoke-self" { capabilities = ["update"] }
