import { Complaint } from './complaint.ts'

/** Why there was no answer. */
export function unreachable({ href, protocol }: URL, error: unknown): Complaint {
  const code = codeOf(error)
  const said = code === undefined ? '' : ` (${code})`
  if (error instanceof Error && error.name === 'TimeoutError')
    return new Complaint('backend_timeout', `control at ${href} did not answer in time`, CHECK)
  if (REFUSED.test(`${code} ${messageOf(error)}`))
    return new Complaint(
      'certificate_refused',
      `${href} refused the client certificate in the handshake${said}`,
      'Name a certificate that it takes, and its key, in REKEY_CERT_FILE and REKEY_KEY_FILE. A proxy in front of control may have an authority of its own.',
    )
  if (code !== undefined && UNTRUSTED.test(code))
    return new Complaint(
      'untrusted_server',
      `the certificate of ${href} is not trusted${said}`,
      remedyOf(code),
    )
  const isCut = protocol === 'https:' && (code === 'ECONNRESET' || code === 'EPIPE')
  return new Complaint(
    'backend_unavailable',
    `control at ${href} cannot be reached${said}`,
    isCut ? `${CHECK} A proxy in front of it may want another client certificate.` : CHECK,
  )
}

const CHECK = 'Check that control runs, and that REKEY_URL or --url names it.'

/** Alerts of TLS that are about a certificate: in the code under TLS 1.3, in the message of an EPROTO under TLS 1.2. */
const REFUSED =
  /alert[ _](unknown[ _]ca|decrypt[ _]error|access[ _]denied|handshake[ _]failure|(\w+[ _])?certificate)/i

/** What OpenSSL finds wrong with a chain, and Node with a name. */
const UNTRUSTED = /(^|_)CERT(_|$)|LEAF_SIGNATURE|INVALID_CA$|INVALID_PURPOSE$/

function remedyOf(code: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'Use a name of control that stands in its certificate, in REKEY_URL or --url.'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return 'Check the clock of this machine; if it is right, control needs a new certificate.'
  return "Name the file with the authority that signed control's certificate in REKEY_CA_FILE."
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${messageOf(error.cause)}` : ''
}

/** fetch hides why it failed one level down. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return codeOf(error.cause)
}
