# Reads a value back as its consumer would, to prove that it works or is refused. It changes nothing.
path "secret/data/*" { capabilities = ["read"] }
