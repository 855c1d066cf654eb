# Reads a value back as its consumer would, to prove that it works or is refused. It changes nothing.
path "secret/data/*" { capabilities = ["read"] }
# A generation without a staging copy is found by the version that holds it.
path "secret/metadata/*" { capabilities = ["read"] }
