/** What failed and what to do, for the person at the terminal: never shown with a stack. */
export class Complaint extends Error {
  readonly code: string
  readonly remedy: string
  constructor(code: string, message: string, remedy: string) {
    super(message)
    this.code = code
    this.remedy = remedy
  }
}
