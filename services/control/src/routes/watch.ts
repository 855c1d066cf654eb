import { Readable } from 'node:stream'
import { RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { type Api, count, RotationId, SECURED, type Shared } from './route.ts'

/** Each watch reads the journal for itself: more of them would make the ledger slow for everybody. */
const WATCHES_MAX = 200

export function watchRoutes(api: Api, shared: Shared): void {
  let watches = 0
  api.get(
    '/rotations/:id/watch',
    {
      config: { action: 'read', resource: 'rotation' },
      schema: {
        summary: 'The journal of a rotation as it grows, as server-sent events',
        description:
          'Events `journal` hold one entry each, with its position as id; `end` holds the outcome, and the stream ends. Send `last-event-id` to go on after a break. Comments come while nothing happens.',
        tags: ['rotations'],
        security: SECURED,
        params: z.object({ id: RotationId }),
        querystring: z.strictObject({ after: count(0, Number.MAX_SAFE_INTEGER).default(0) }),
        headers: z.object({ 'last-event-id': count(0, Number.MAX_SAFE_INTEGER).optional() }),
        produces: ['text/event-stream'],
      },
    },
    async ({ params: { id }, query, headers }, reply) => {
      if (watches >= WATCHES_MAX)
        throw new RekeyError('throttled', `${WATCHES_MAX} rotations are watched already`)
      // Before anything is sent, so that an unknown rotation is a plain 404.
      await shared.ledger.endOfRotation(id)
      watches++
      const gone = new AbortController()
      reply.raw.once('close', () => {
        watches--
        gone.abort()
      })
      const after = headers['last-event-id'] ?? query.after
      return reply
        .header('content-type', 'text/event-stream; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        .send(Readable.from(entriesOf(shared, id, after, gone.signal)))
    },
  )
}

async function* entriesOf(
  shared: Shared,
  id: string,
  start: number,
  gone: AbortSignal,
): AsyncGenerator<string> {
  const { ledger, bell, heartbeatMs } = shared
  let after = start
  yield ': watching\n\n'
  while (!gone.aborted && !bell.closed.aborted) {
    const seen = bell.rings
    // The end first: what is in the journal after it can only be more.
    const { outcome, exceptions } = await ledger.endOfRotation(id)
    const entries = await ledger.journal({ stream: `rotation/${id}`, after })
    for (const entry of entries) {
      after = entry.position
      yield `id: ${after}\nevent: journal\ndata: ${JSON.stringify(entry)}\n\n`
    }
    if (outcome !== null) {
      yield `event: end\ndata: ${JSON.stringify({ outcome, exceptions })}\n\n`
      return
    }
    if (entries.length === 0) yield ': nothing new\n\n'
    await bell.next(seen, heartbeatMs, gone)
  }
}
