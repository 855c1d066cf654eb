# Asks whose a leaked string is, by the fingerprint of its digest. It can read no value.
path "transit/hmac/rekey-fingerprint/sha2-256" { capabilities = ["update"] }
