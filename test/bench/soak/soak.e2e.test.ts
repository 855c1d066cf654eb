import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { KILLS } from './kills.ts'

/** That nothing fails in a short one, in which everything is killed once. How fast it is says `pnpm bench:soak`. In the deep run. */
test.runIf(process.env.REKEY_DEEP === '1')(
  'no request fails while keys roll over and each gateway, agent and service is killed',
  async () => {
    const main = new URL('main.ts', import.meta.url).pathname
    const env = { ...process.env, DATABASE_URL: undefined, REDIS_URL: undefined }
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--no-warnings', main, '--quick', '--json'],
      {
        env,
        maxBuffer: 1e7,
      },
    ).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${error.stdout}\n${error.stderr}`)
    })
    const { ok, promises, figures } = JSON.parse(stdout)
    expect(promises.filter((promise: { ok: boolean }) => !promise.ok)).toEqual([])
    expect(ok).toBe(true)
    const seen: string[][] = figures[0].tables.flatMap(({ rows }: { rows: string[][] }) => rows)
    expect(seen.flat().join(' ')).not.toMatch(/NaN|Infinity|undefined/)
    const killed = seen.filter(([what = '']) => what.startsWith('kills: '))
    expect(killed.map(([, times]) => Number(times) > 0)).toEqual(KILLS.map(() => true))
  },
)
