# Makes the fingerprint of a leaked value that GitHub found. It faces the internet: it can read no value, and nothing else.
path "transit/hmac/rekey-fingerprint/sha2-256" { capabilities = ["update"] }
