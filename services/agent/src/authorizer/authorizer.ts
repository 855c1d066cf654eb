import type { Log } from '../log.ts'
import { listenOn } from '../unix-socket.ts'
import { adminServer } from './admin.ts'
import type { AuthorizerConfig } from './config.ts'
import { hearEnds } from './ends.ts'
import { Keys } from './keys.ts'
import { questionServer } from './questions.ts'
import { Uses } from './uses.ts'

/** NGINX asks from a user of its own, which shares our group; who asks learns only whether a key that it has is accepted. */
const QUESTION_MODE = 0o660
const ADMIN_MODE = 0o600

export type Authorizer = { stop(): Promise<void> }

/**
 * Says of each request whether its key is accepted. A process of its own, so that the agent may die or be replaced while
 * requests go on; two of them beside each other, so that one of them may.
 */
export async function startAuthorizer(config: AuthorizerConfig, log: Log): Promise<Authorizer> {
  const keys = await Keys.load(config.keysFile)
  const uses = new Uses({ longestMs: config.longestMs, now: () => performance.now() })
  uses.assume(keys.accepted())
  const ends = await hearEnds(config.ends, ({ request, keyId, status }) => uses.ended(request, keyId, status))
  const admin = adminServer(keys, uses, log)
  const questions = questionServer(keys, uses)
  await listenOn(admin, config.adminSocket, ADMIN_MODE)
  await listenOn(questions, config.socket, QUESTION_MODE)
  log.info({ keys: keys.accepted() }, 'the authorizer answers')
  return {
    async stop() {
      const closed = [questions, admin].map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            server.closeIdleConnections()
          }),
      )
      await Promise.all(closed)
      ends.close()
    },
  }
}
