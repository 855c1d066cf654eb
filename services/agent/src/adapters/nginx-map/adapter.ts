import { access, rm } from 'node:fs/promises'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { markerOf, markOf } from '../after-change.ts'
import { bearerTry } from '../bearer-try.ts'
import { defineAdapter } from '../definition.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { type OneProcess, processOf, send } from '../pid-file.ts'
import { runQuietly } from '../quiet-command.ts'
import { linesOf, linesWithout } from './key-lines.ts'
import { ended, NotReloaded, workersOf } from './workers.ts'

const command = z
  .array(z.string())
  .min(1)
  .refine(([program]) => program?.startsWith('/'), 'name the program by its whole path')

export const NginxMapConfig = z.strictObject({
  credential: z.string().min(1),
  kind: z.literal('nginx-map'),
  /** What the `map` of NGINX's configuration includes. Put it on tmpfs: it holds values. */
  path: z.string().min(1),
  pidFile: z.string().min(1).default('/run/nginx.pid'),
  /** Says by its exit code whether NGINX takes its configuration, this file included. */
  test: command.default(['/usr/sbin/nginx', '-t', '-q']),
  /** Where this user may not signal NGINX, such as `sudo -n systemctl reload nginx`. */
  reload: command.optional(),
  /** What `worker_shutdown_timeout` says: after that an old worker has ended, whatever it was doing. */
  shutdownMs: z.number().int().min(100).max(120_000).default(10_000),
  /** A path behind the key check that answers 2xx. */
  probeUrl: z.url({ protocol: /^https?$/ }),
})
export type NginxMapConfig = z.infer<typeof NginxMapConfig>

const COMMAND_MS = 15_000

/** For NGINX without authorizers: it reads its keys from a map when it is reloaded. */
export function nginxMapAdapter(config: NginxMapConfig): NodeAdapter {
  const { credential, path, pidFile, test, shutdownMs, probeUrl } = config
  const mark = markOf(path)
  /** Reloaded for this content, and not yet rid of the workers from before. To be told again would make it more of them. */
  let reloaded: { content: string; before: OneProcess[] } | undefined

  const isHeld = async (content: string) =>
    (await readIfPresent(path)) === content && (await mark.isSet(content))

  /** A configuration that NGINX does not take is not left there: nothing would be wrong until NGINX is started again. */
  async function write(content: string): Promise<void> {
    const before = await readIfPresent(path)
    if (before !== content) await writeDurably(path, content)
    try {
      await runQuietly(test, COMMAND_MS)
    } catch (error) {
      if (before === undefined) await rm(path, { force: true })
      else if (before !== content) await writeDurably(path, before)
      throw new Error(
        `NGINX would not take its configuration, so it keeps its keys. ${(error as Error).message}`,
      )
    }
  }

  async function reload(): Promise<OneProcess[]> {
    const master = await processOf(pidFile, 'SIGHUP')
    if (await isThere(`${pidFile}.oldbin`))
      throw new Error('a second NGINX serves beside this one, from an upgrade: end it with QUIT')
    const before = await workersOf(master)
    if (before.length === 0)
      throw new Error(
        `process ${master.pid} has no workers that this user sees: it takes a master process, in the same PID namespace`,
      )
    if (config.reload) await runQuietly(config.reload, COMMAND_MS)
    else await send(master.pid, 'SIGHUP')
    return before
  }

  async function reach(content: string): Promise<void> {
    if (await isHeld(content)) return
    if (reloaded?.content !== content || (await readIfPresent(path)) !== content) {
      reloaded = undefined
      await mark.clear()
      await write(content)
      reloaded = { content, before: await reload() }
    }
    try {
      await ended(reloaded.before, shutdownMs)
    } catch (error) {
      if (error instanceof NotReloaded) reloaded = undefined
      throw error
    }
    reloaded = undefined
    await mark.set(content)
  }

  return {
    kind: 'nginx-map',
    disruption: 'C',
    canTry: true,
    apply: async (accept) => reach(linesOf(accept)),
    holds: async (accept) => isHeld(linesOf(accept)),
    async drop(generations) {
      const now = await readIfPresent(path)
      if (now !== undefined) await reach(linesWithout(now, credential, generations))
    },
    /** Twice: a connection that was kept from the try before may have been to a worker that has ended. */
    async tryValue(value) {
      const seen = await bearerTry(probeUrl, value)
      return seen === 'unknown' ? bearerTry(probeUrl, value) : seen
    },
    async usage() {
      return undefined
    },
    async close() {},
  }
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

export const nginxMapDefinition = defineAdapter({
  config: NginxMapConfig,
  // Two that reload one NGINX would wait for each other's workers, and miss those of a reload in between.
  claims: ({ path, pidFile }) => [`path ${path}`, `path ${markerOf(path)}`, `process of ${pidFile}`],
  resolved: (config, at) => ({ ...config, path: at(config.path), pidFile: at(config.pidFile) }),
  make: nginxMapAdapter,
})
