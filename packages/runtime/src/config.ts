import { readFileSync, statSync } from 'node:fs'
import { RekeyError, Secret } from '@rekey/contracts'
import type { z } from 'zod'

/** Reads configuration from the environment. A missing or wrong variable is named, with what it is for. */
export function readConfig<S extends z.ZodType>(
  schema: S,
  env: NodeJS.ProcessEnv = process.env,
): z.output<S> {
  const parsed = schema.safeParse(env)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`)
  throw new RekeyError('invalid_configuration', `environment: ${faults.join('; ')}`)
}

/** Reads a secret from a file, because environments and arguments are readable by others. */
export function secretFile(path: string): Secret {
  let text: string
  try {
    if (statSync(path).size > 65_536) throw new Error('larger than 64 KiB')
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new RekeyError('invalid_configuration', `cannot read the secret file ${path}: ${why}`)
  }
  if (text === '') throw new RekeyError('invalid_configuration', `the secret file ${path} is empty`)
  return Secret.of(text)
}
