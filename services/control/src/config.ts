import { z } from 'zod'

export const Config = z
  .object({
    DATABASE_URL: z.string().min(1),
    CONTROL_PORT: z.coerce.number().int().min(0).max(65_535).default(7400),
    /** The API speaks plain HTTP: give it another address only behind something that ends TLS. */
    CONTROL_HOST: z.string().min(1).default('127.0.0.1'),
    /** A file, because environments and arguments are readable by others. */
    CONTROL_TOKEN_FILE: z.string().min(1),
    /** For `who` alone: Vault makes fingerprints and gives no value to this identity. Without it `who` is refused. */
    VAULT_ADDR: z.url().optional(),
    VAULT_ROLE_ID_FILE: z.string().min(1).optional(),
    VAULT_SECRET_ID_FILE: z.string().min(1).optional(),
  })
  .refine(
    // An address alone is in many a shell, and asks for nothing.
    ({ VAULT_ADDR, VAULT_ROLE_ID_FILE: role, VAULT_SECRET_ID_FILE: secret }) =>
      (role === undefined && secret === undefined) ||
      (VAULT_ADDR !== undefined && role !== undefined && secret !== undefined),
    { path: ['VAULT_ROLE_ID_FILE'], message: 'goes with VAULT_SECRET_ID_FILE and VAULT_ADDR' },
  )
