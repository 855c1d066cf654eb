# A password policy. Vault's own makes 20 characters, which is less than 128 bits.
length = 40
rule "charset" { charset = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" }
