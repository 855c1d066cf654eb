# Vault Agent on a node (the same for OpenBao's). It reads the file that Rekey's agent writes at each login.
auto_auth {
  method "approle" {
    mount_path = "auth/workloads"
    config = {
      role_id_file_path   = "/etc/embedder/role-id"
      secret_id_file_path = "/run/rekey/embedder-vault-login"
      # By default Vault Agent removes the file once it has read it, and keeps the value: it would never see the next one.
      remove_secret_id_file_after_reading = false
    }
  }
}
