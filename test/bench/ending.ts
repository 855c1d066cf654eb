import { Complaint } from '@rekey/local'

/** Ends this process with what a command says, or with 1 and why it could not. */
export async function endWith(run: () => Promise<number>): Promise<never> {
  try {
    process.exit(await run())
  } catch (error) {
    process.stderr.write(
      `${error instanceof Complaint ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    )
    process.exit(1)
  }
}
