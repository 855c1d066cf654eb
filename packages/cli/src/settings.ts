import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { Secret } from '@rekey/contracts/secret'
import { Complaint } from './complaint.ts'
import type { ControlOptions } from './control-client.ts'
import { readTlsFiles } from './tls-files.ts'

const DEFAULT_URL = 'http://127.0.0.1:7400'

export function readSettings(
  options: { url?: string; tokenFile?: string; actor?: string },
  env: NodeJS.ProcessEnv,
): ControlOptions {
  // Each once now, so that what is wrong with it is said before anything is done.
  const tls = readTlsFiles(env)
  const tokenFile = options.tokenFile ?? env.REKEY_TOKEN_FILE
  const token = tls?.identity && !tokenFile ? undefined : () => readToken(tokenFile)
  token?.()
  const actor = actorFrom(options.actor ?? env.USER ?? env.LOGNAME ?? userName())
  const url = options.url ?? env.REKEY_URL ?? DEFAULT_URL
  return {
    url,
    ...(token && { token }),
    ...(tls && { tls: () => readTlsFiles(env) ?? {} }),
    ...(actor !== undefined && { actor }),
  }
}

/** What fits into the header of a request. Tokens that name many groups are long. */
const TOKEN_LENGTH_MAX = 12_000

/** From a file only: arguments and environments are readable by others. */
function readToken(file: string | undefined): Secret {
  const remedy = 'Name the file with your token for control in REKEY_TOKEN_FILE or --token-file.'
  if (!file)
    throw new Complaint(
      'bad_usage',
      'no token for control was given',
      `${remedy} A client certificate in REKEY_CERT_FILE and REKEY_KEY_FILE is another way in.`,
    )
  try {
    const text = readFileSync(file, 'utf8').trim()
    if (/^[\x21-\x7e]+$/.test(text) && text.length <= TOKEN_LENGTH_MAX) return Secret.of(text)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Complaint('bad_usage', `cannot read the token file ${file}: ${why}`, remedy)
  }
  throw new Complaint('bad_usage', `the file ${file} does not hold a token`, remedy)
}

/** Undefined: nobody can say. Control asks for it where it needs one. */
function actorFrom(name: string | undefined): string | undefined {
  if (name === undefined || /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(name)) return name
  throw new Complaint(
    'bad_usage',
    `"${name}" cannot be recorded as a name`,
    'Give --actor with letters, digits and . _ @ - (at most 64).',
  )
}

/** Undefined in a container whose user has no name. */
function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
