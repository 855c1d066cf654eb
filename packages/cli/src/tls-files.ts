import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Secret } from '@rekey/contracts/secret'
import { Complaint } from './complaint.ts'

/** Whom a client believes over TLS, and what it shows. PEM. */
export type ClientTls = {
  /** The authorities that are believed, instead of the system's. */
  ca?: string
  identity?: {
    cert: string
    key: Secret
    /** Whose the certificate is and until when, for people. */
    about: string
  }
}

type Name = 'REKEY_CA_FILE' | 'REKEY_CERT_FILE' | 'REKEY_KEY_FILE'

/** Undefined: none of the files is named. From files only: arguments and environments are readable by others. */
export function readTlsFiles(env: NodeJS.ProcessEnv): ClientTls | undefined {
  const ca = env.REKEY_CA_FILE ? readCa(env.REKEY_CA_FILE) : undefined
  const identity = readIdentity(env.REKEY_CERT_FILE, env.REKEY_KEY_FILE)
  if (ca === undefined && identity === undefined) return undefined
  return { ...(ca !== undefined && { ca }), ...(identity && { identity }) }
}

function readCa(file: string): string {
  const text = read('REKEY_CA_FILE', file).reveal()
  parse('REKEY_CA_FILE', file, () => new X509Certificate(text))
  return text
}

function readIdentity(certFile: string | undefined, keyFile: string | undefined): ClientTls['identity'] {
  if (!certFile && !keyFile) return undefined
  if (!certFile || !keyFile)
    throw new Complaint(
      'bad_usage',
      `${certFile ? 'REKEY_CERT_FILE' : 'REKEY_KEY_FILE'} is set without ${certFile ? 'REKEY_KEY_FILE' : 'REKEY_CERT_FILE'}`,
      'A client certificate is of use with its private key only: name both files, or none.',
    )
  const cert = read('REKEY_CERT_FILE', certFile).reveal()
  const key = read('REKEY_KEY_FILE', keyFile)
  const certificate = parse('REKEY_CERT_FILE', certFile, () => new X509Certificate(cert))
  const privateKey = parseKey(keyFile, key)
  if (!certificate.checkPrivateKey(privateKey))
    throw new Complaint(
      'bad_usage',
      `the private key in ${keyFile} is not that of the certificate in ${certFile}`,
      'Name the two files that belong together in REKEY_CERT_FILE and REKEY_KEY_FILE; of a chain, your own certificate comes first.',
    )
  return { cert, key, about: `${certificate.subjectAltName ?? 'no name'}, until ${certificate.validTo}` }
}

function read(name: Name, file: string): Secret {
  try {
    return Secret.of(readFileSync(file, 'utf8'))
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Complaint(
      'bad_usage',
      `cannot read ${name} ${file}: ${why}`,
      `Name a file that you can read in ${name}.`,
    )
  }
}

/** What the parser says is not told: it may hold a piece of the file. */
function parse<T>(name: Name, file: string, parsed: () => T): T {
  try {
    return parsed()
  } catch {
    const what = name === 'REKEY_KEY_FILE' ? 'private key' : 'certificate'
    throw new Complaint(
      'bad_usage',
      `${file} holds no ${what} in PEM`,
      `Name a file with a ${what} in PEM in ${name}.`,
    )
  }
}

function parseKey(file: string, key: Secret): KeyObject {
  if (/ENCRYPTED/.test(key.reveal()))
    throw new Complaint(
      'bad_usage',
      `the private key in ${file} is encrypted`,
      'rekey asks for no passphrase: name a file with the key itself in REKEY_KEY_FILE, readable by you alone.',
    )
  return parse('REKEY_KEY_FILE', file, () => createPrivateKey(key.reveal()))
}
