import pg from 'pg'

/** Applications that keep one connection each, and run one short transaction after the other. */
export function startPoolerClients({ url, count }: { url: string; count: number }) {
  let done = false
  let transactions = 0
  const failures: string[] = []
  const users = new Map<string, number>()

  async function one(): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', (error) => failures.push(error.message))
    await client.connect()
    while (!done) {
      try {
        await client.query('begin')
        const { rows } = await client.query('select session_user::text as who')
        await client.query('commit')
        const [{ who }] = rows
        users.set(who, (users.get(who) ?? 0) + 1)
        transactions += 1
      } catch (error) {
        failures.push((error as Error).message)
        // One that lost its connection would only say so again and again.
        break
      }
    }
    await client.end().catch(() => {})
  }
  const running = Array.from({ length: count }, () => one().catch((error) => failures.push(error.message)))

  return {
    failures,
    transactions: () => transactions,
    /** How many transactions ran as this user so far. */
    as: (user: string) => users.get(user) ?? 0,
    async stop() {
      done = true
      await Promise.all(running)
      return { transactions, failures }
    },
  }
}
