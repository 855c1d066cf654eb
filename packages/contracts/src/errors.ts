/** The one catalogue of errors. `retryable`: the same call may succeed later without anybody doing anything. */
export const ERRORS = {
  backend_unavailable: {
    retryable: true,
    remedy: 'Check that the server is up and reachable from this host; the step is retried.',
  },
  backend_timeout: {
    retryable: true,
    remedy: 'The call was cut off at its deadline; its effect is read back before it is tried again.',
  },
  throttled: { retryable: true, remedy: 'The backend asked for fewer calls; the step is retried later.' },
  quota_exhausted: {
    retryable: true,
    remedy:
      'A quota of the backend is used up for hours, not for seconds; the message says which, and what makes room. The step is retried.',
  },
  replica_behind: {
    retryable: true,
    remedy:
      'A replica of the secret does not show the new value yet; the step is retried until it does. If it stays so, look at the replication that the message names.',
  },
  permission_denied: {
    retryable: false,
    remedy: "Give Rekey's identity the permission named in the message, then resume.",
  },
  not_found: { retryable: false, remedy: 'Check the path or name in the credential, and that it exists.' },
  already_exists: {
    retryable: false,
    remedy: 'Something else made this version; look at who writes there, then resume or roll back.',
  },
  foreign_writer: {
    retryable: false,
    remedy:
      'Somebody else wrote to this secret in mid-rotation. Settle who owns it, then resume or roll back.',
  },
  not_adoptable: {
    retryable: false,
    remedy: 'Nothing was changed. Put right what the message names, then resume, or roll back.',
  },
  value_lost: {
    retryable: false,
    remedy: 'The value is in no store any more. Roll back; a new rotation makes a new value.',
  },
  value_refused: {
    retryable: false,
    remedy: 'The authority does not take this value: look at its policy, then roll back and rotate again.',
  },
  roles_differ: {
    retryable: false,
    remedy:
      'Give both roles of the pair the memberships, settings and grants that the message names, then resume.',
  },
  function_failed: {
    retryable: false,
    remedy:
      "The secret's own rotation function did not finish; the message says at which step. What is in use still works. Mend what the function's log names, then resume: it is run again. Or roll back.",
  },
  bad_response: { retryable: true, remedy: 'The backend answered something unexpected; see its own log.' },
  sealed: { retryable: true, remedy: 'Unseal Vault; the step is retried.' },
  invalid_configuration: {
    retryable: false,
    remedy: 'Correct the field named in the message and apply again.',
  },
  invalid_event: {
    retryable: false,
    remedy: 'Correct the field named in the message and send the event again.',
  },
  not_allowed_now: {
    retryable: false,
    remedy: 'It is not possible as things stand; the message says why, and what would be.',
  },
  ledger_behind: {
    retryable: false,
    remedy:
      'An older backup of the ledger was restored: run `rekey recover`. If none was, somebody else writes to the audit topic.',
  },
  newer_release: {
    retryable: true,
    remedy: 'A newer release of Rekey works on this rotation; finish the upgrade of this process.',
  },
  conflict: { retryable: false, remedy: 'The same id was used before with other content. Use a new id.' },
} as const satisfies Record<string, { retryable: boolean; remedy: string }>

export type ErrorCode = keyof typeof ERRORS

const BRAND = Symbol.for('rekey.error')

/**
 * An error that is safe to print: the message says what we were doing, never a value.
 * Raw client errors are never its cause, because some carry tokens and bodies (node-vault's do).
 */
export class RekeyError extends Error {
  readonly [BRAND] = true
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly remedy: string

  constructor(code: ErrorCode, message: string, options?: { cause?: RekeyError }) {
    super(message, options)
    this.name = 'RekeyError'
    this.code = code
    this.retryable = ERRORS[code].retryable
    this.remedy = ERRORS[code].remedy
  }

  static is(error: unknown): error is RekeyError {
    return typeof error === 'object' && error !== null && BRAND in error
  }
}
