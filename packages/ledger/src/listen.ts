import pg from 'pg'

/**
 * Calls `heard` whenever something is announced on a channel, and after each reconnection, because what was
 * announced meanwhile is lost. Needs a direct connection: LISTEN does not pass a transaction pooler.
 */
export function listen(
  url: string,
  name: string,
  channel: string,
  heard: () => void,
): { close(): Promise<void> } {
  let client: pg.Client | undefined
  let closed = false
  const connect = async () => {
    if (closed) return
    const next = new pg.Client({ connectionString: url, application_name: name })
    client = next
    next.on('notification', heard)
    next.on('error', () => undefined)
    next.on('end', () => setTimeout(connect, 500))
    try {
      await next.connect()
      await next.query(`listen ${pg.escapeIdentifier(channel)}`)
      heard()
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
