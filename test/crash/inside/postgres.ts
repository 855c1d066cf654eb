import pg from 'pg'
import { type Act, after, before, onlyAfter, plan } from './points.ts'
import { noteUnsent, transaction, type Writes, writesOf } from './statements.ts'

type Result = { rows?: Record<string, unknown>[] }

/** Points are commits of what a transaction wrote, and writes outside a transaction. Reads are none. */
export function hookPostgres(): void {
  const query = pg.Client.prototype.query
  /** What the open transaction of each connection has written. */
  const open = new WeakMap<object, Writes[]>()

  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config, list] = args as [string | { text?: string; values?: unknown[] }, unknown]
    const text = (typeof config === 'string' ? config : config.text) ?? ''
    const values = Array.isArray(list) ? list : (typeof config === 'object' && config.values) || []
    const command = text.trim().toLowerCase()
    const send = () => Reflect.apply(query, this, args)
    if (command === 'begin') open.set(this, [])
    const written = open.get(this)
    if (command === 'rollback') open.delete(this)
    if (command === 'commit') {
      open.delete(this)
      if (!written || written.length === 0) return send()
      const act = before((now) => [`pg commit ${transaction(written.flatMap((w) => w(now, [])))}`])
      return ended(send, args, () => after(act))
    }
    const found = writesOf(text, values)
    if (found && written) written.push(found.writes)
    if (!found && !/^select position, sequence/.test(command)) return send()
    if (written) return send()
    let act: Act | undefined
    const labels = (rows: Record<string, unknown>[]) => (now: Parameters<Writes>[0]) =>
      found ? found.writes(now, rows).map((what) => `pg ${what}`) : []
    if (found && !found.onlyAfter) act = before(labels([]))
    return ended(send, args, ({ rows = [] }) => {
      if (found?.onlyAfter) onlyAfter(labels(rows))
      else after(act)
      const now = plan()
      if (now && !found) noteUnsent(text, rows, now)
    })
  } as typeof query
}

/** Looks at the result before whoever waits for it, through a callback (the pool's own way) or a promise. */
function ended(send: () => unknown, args: unknown[], look: (result: Result) => void): unknown {
  const last = args.at(-1)
  if (typeof last === 'function') {
    args[args.length - 1] = (error: unknown, result: Result) => {
      if (!error) look(result)
      last(error, result)
    }
    return send()
  }
  return (send() as Promise<Result>).then((result) => {
    look(result)
    return result
  })
}
