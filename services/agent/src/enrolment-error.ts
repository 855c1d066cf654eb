/** Enrolment cannot go on by itself; the message says what a human must do. */
export class EnrolmentError extends Error {
  /** True where waiting helps: the fleet or Vault was not reachable, and nothing was used up. */
  readonly transient: boolean
  constructor(message: string, options: { transient: boolean }) {
    super(message)
    this.transient = options.transient
  }
}
