import pg from 'pg'

/** When this process last sent a commit, on the monotonic clock that all processes of a machine share. */
export function watchCommits(): { lastAt: () => bigint; stop: () => void } {
  const query = pg.Client.prototype.query
  let lastAt = 0n
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    if (args[0] === 'commit') lastAt = process.hrtime.bigint()
    return Reflect.apply(query, this, args)
  } as typeof query
  return {
    lastAt: () => lastAt,
    stop() {
      pg.Client.prototype.query = query
    },
  }
}
