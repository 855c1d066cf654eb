/** What a backend holds, by its name alone: never a value. */
export type ListedName = {
  name: string
  /** ISO 8601, where the list tells it. */
  changedAt: string | null
}

/**
 * Where a scan looks: a mount of Vault's KV, or a region of Secrets Manager, and how names begin there; or the access keys of an
 * IAM user.
 */
export type InventoryPlace =
  | { kind: 'vault-kv'; mount: string; prefix: string }
  | { kind: 'aws-secrets-manager'; region: string; prefix: string }
  | { kind: 'aws-iam-access-key'; user: string; region: string; prefix: '' }

/** What a scan has listed of one place. */
export type ListedPlace = {
  place: InventoryPlace
  names: ListedName[]
  /** Why it is not all that there is; null: it is. */
  error: string | null
}
