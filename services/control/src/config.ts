import { z } from 'zod'

export const Config = z.object({
  DATABASE_URL: z.string().min(1),
  CONTROL_PORT: z.coerce.number().int().min(0).max(65_535).default(7400),
  /** The API speaks plain HTTP: give it another address only behind something that ends TLS. */
  CONTROL_HOST: z.string().min(1).default('127.0.0.1'),
  /** A file, because environments and arguments are readable by others. */
  CONTROL_TOKEN_FILE: z.string().min(1),
})
