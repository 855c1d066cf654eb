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
  constructor(status: number, code: string, message: string, remedy: string, faults: Fault[] = []) {
    super(code, message, remedy)
    this.status = status
    this.faults = faults
  }
}

const WRONG_TOKEN =
  'Name the file with a token that control takes in REKEY_TOKEN_FILE or --token-file. Tokens of an identity provider expire: get a new one.'

/** An answer that is no success: a problem document, or whatever stood in between. */
export function toControlError(status: number, url: string, body: unknown): ControlError {
  if (typeof body === 'object' && body !== null && 'code' in body && 'detail' in body) {
    const { code, detail, remedy, faults } = body as Record<string, unknown>
    return new ControlError(
      status,
      String(code),
      String(detail),
      status === 401 ? WRONG_TOKEN : String(remedy ?? ''),
      Array.isArray(faults) ? (faults as Fault[]) : [],
    )
  }
  return new ControlError(
    status,
    'bad_response',
    `${url} answered ${status}, and not as Rekey's control does`,
    'Check that REKEY_URL names control and not something else.',
  )
}
