import { RekeyError, type Secret } from '@rekey/contracts'
import { type Logger, secretFile } from '@rekey/runtime'

const LENGTH_MIN = 16
const READ_AGAIN_MS = 5_000

/**
 * The secrets that a source may sign with now. The files are read again every few seconds, so that a secret is replaced
 * without a restart; while one cannot be read what was read last counts.
 */
export function sharedSecrets(files: readonly string[], logger: Logger): () => readonly Secret[] {
  let secrets = files.map(read)
  let readAt = performance.now()
  return () => {
    if (performance.now() - readAt < READ_AGAIN_MS) return secrets
    readAt = performance.now()
    try {
      secrets = files.map(read)
    } catch (error) {
      logger.error({ error }, 'the secrets cannot be read again; those of the last time count')
    }
    return secrets
  }
}

function read(file: string): Secret {
  const secret = secretFile(file)
  if (secret.reveal().length >= LENGTH_MIN) return secret
  throw new RekeyError(
    'invalid_configuration',
    `the secret in ${file} is shorter than ${LENGTH_MIN} characters`,
  )
}
