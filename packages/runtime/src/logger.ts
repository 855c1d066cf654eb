import { type Logger as Pino, pino } from 'pino'

export type Logger = Pino

/** Fields that must never show a value. The second net: secrets travel as `Secret`, which prints `[secret]`. */
const REDACTED = ['value', 'token', 'secret', 'password', 'authorization', 'SecretString', 'secretId']

/** JSON lines on stdout: a fixed sentence and its variables as fields. Level from LOG_LEVEL, default info. */
export function createLogger(options: { service: string }): Logger {
  return pino({
    level: process.env.LOG_LEVEL ?? 'info',
    base: { service: options.service, pid: process.pid },
    redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[secret]' },
    serializers: { error: describe, err: describe },
  })
}

/** Errors by name, code and message, with their causes: never a raw client error's fields, some carry tokens. */
function describe(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack, cause } = error
  const code = 'code' in error ? String(error.code) : undefined
  return { name, code, message, stack, ...(cause === undefined ? {} : { cause: describe(cause) }) }
}
