# Beside rekey-rotator, and only for credentials with `endTokens`: an emergency ends the tokens that were issued for a leaked
# secret id. Vault knows no narrower right: with this one can end any token, and read the metadata of all, but use none.
path "auth/token/accessors"        { capabilities = ["list", "sudo"] }
path "auth/token/accessors/"       { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor"  { capabilities = ["create", "update"] }
path "auth/token/revoke-accessor"  { capabilities = ["create", "update"] }
