import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { readIfPresent, writeDurably } from '@rekey/runtime'

/** As SDKs send it, which do not cut off an end of line. */
const TOKEN = /^[A-Za-z0-9_-]{32,256}$/

/** What a reader shows: made once, and kept, for the applications that run have read where it is. */
export async function tokenIn(path: string): Promise<string> {
  const found = await readIfPresent(path)
  if (found === undefined) {
    const token = randomBytes(32).toString('base64url')
    await writeDurably(path, token)
    return token
  }
  if (!TOKEN.test(found)) throw new Error(`${path} holds no token of this agent: remove it, and one is made`)
  // Whoever is in its group was let in on purpose: the agent makes it for its owner alone.
  if (((await stat(path)).mode & 0o037) !== 0)
    throw new Error(
      `${path} can be read or changed by others: chmod 600, or 640 with the applications' group`,
    )
  return found
}
