import { Complaint } from './complaint.ts'

/** One thing wrong in a document that was sent. */
export type Fault = {
  /** Index of the document in what was sent; null where it is not about one alone. */
  document: number | null
  kind: string | null
  name: string | null
  field: string
  message: string
}

/** What control refused, in its own words. */
export class ControlError extends Complaint {
  readonly status: number
  readonly faults: Fault[]
  /** With which id a second person can agree, where one has to. */
  readonly approval: string | undefined
  constructor(
    status: number,
    code: string,
    message: string,
    remedy: string,
    { faults = [], approval }: { faults?: Fault[]; approval?: string | undefined } = {},
  ) {
    super(code, message, remedy)
    this.status = status
    this.faults = faults
    this.approval = approval
  }
}

const WRONG_TOKEN =
  'Name the file with a token that control takes in REKEY_TOKEN_FILE or --token-file. Tokens of an identity provider expire: get a new one.'

function wayIn(shown: string | undefined): string {
  if (shown === undefined) return WRONG_TOKEN
  return `Control takes a certificate that its client CA signed, while it is valid, with one SPIFFE ID or one DNS name. Yours: ${shown}.`
}

/**
 * An answer that is no success: a problem document, or whatever stood in between. `shown`: the certificate that was the
 * only way in.
 */
export function toControlError(status: number, url: string, body: unknown, shown?: string): ControlError {
  if (typeof body === 'object' && body !== null && 'code' in body && 'detail' in body) {
    const { code, detail, remedy, faults, approval } = body as Record<string, unknown>
    return new ControlError(
      status,
      String(code),
      String(detail),
      status === 401 ? wayIn(shown) : String(remedy ?? ''),
      {
        faults: Array.isArray(faults) ? (faults as Fault[]) : [],
        approval: (approval as { id?: string } | undefined)?.id,
      },
    )
  }
  return new ControlError(
    status,
    'bad_response',
    `${url} answered ${status}, and not as Rekey's control does`,
    'Check that REKEY_URL names control and not something else.',
  )
}
