# Of the tokens that the rotator makes, one for each change of a static role's password. They live for seconds: rotate-role has no condition,
# and a call that comes later than it was meant to would end a password in use. Nobody else should have this right, nor read
# static-creds of these roles.
path "database/rotate-role/rekey-*" { capabilities = ["update"] }
