import pg from 'pg'
import { LANES, type Lane } from './lanes.ts'

/** Under load there is an announcement every few milliseconds, and each look finds what many of them were about. */
const APART_MS = 20

/** Calls at once, and again at the end of each stretch in which there were more. */
function thinned(call: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  let isWanted = false
  return () => {
    isWanted = true
    if (timer) return
    const tell = () => {
      timer = isWanted ? setTimeout(tell, APART_MS) : undefined
      if (isWanted) call()
      isWanted = false
    }
    tell()
  }
}

/**
 * Calls `heard` whenever something is announced on a channel, and after each reconnection, because what was
 * announced meanwhile is lost. What is announced within some milliseconds is told once, and emergencies apart from the
 * rest, which would hold them up. Needs a direct connection: LISTEN does not pass a transaction pooler.
 */
export function listen(
  url: string,
  name: string,
  channel: string,
  heard: (lane: Lane) => void,
): { close(): Promise<void> } {
  let client: pg.Client | undefined
  let closed = false
  const told = (lane: Lane) => thinned(() => !closed && heard(lane))
  const tell = { emergency: told('emergency'), routine: told('routine') }
  const connect = async () => {
    if (closed) return
    const next = new pg.Client({ connectionString: url, application_name: name })
    client = next
    next.on('notification', ({ payload }) => tell[payload === 'emergency' ? payload : 'routine']())
    next.on('error', () => undefined)
    next.on('end', () => setTimeout(connect, 500))
    try {
      await next.connect()
      await next.query(`listen ${pg.escapeIdentifier(channel)}`)
      for (const lane of LANES) tell[lane]()
    } catch {
      // `end` follows and connects again.
      await next.end().catch(() => undefined)
    }
  }
  void connect()
  return {
    async close() {
      closed = true
      await client?.end().catch(() => undefined)
    },
  }
}
