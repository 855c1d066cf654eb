/** A problem that the reader can settle. Its message is one sentence that says what to do; it is shown without a stack. */
export class Complaint extends Error {
  override readonly name = 'Complaint'
}
