import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePgbouncer, freePort } from '@rekey/local'
import { accepts, restartable } from './gateway.ts'

const EXAMPLE = new URL('../../../examples/pgbouncer/pgbouncer.ini.template', import.meta.url).pathname

/** PgBouncer refuses to run as root. This is Debian's `nobody`, with the group `nogroup`. */
const NOBODY = { name: 'nobody', gid: 65_534 }

/** The example's PgBouncer on a free port, with the alias `shop`. Applications log in as `shop`, and never otherwise. */
export async function startPgbouncer() {
  const binary = await ensurePgbouncer()
  const isRoot = process.getuid?.() === 0
  const dir = await mkdtemp(join(tmpdir(), 'rekey-pgb-'))
  if (isRoot) await chown(dir, 0, NOBODY.gid)
  // What is made in it belongs to PgBouncer's group.
  await chmod(dir, 0o2750)
  const at = (name: string) => join(dir, name)
  const port = await freePort()
  const [application, administrator] = ['application-at-the-pooler', 'administrator-of-the-pooler']
  const files = {
    login: at('shop.ini'),
    users: at('userlist.txt'),
    config: at('pgbouncer.ini'),
    log: at('pgbouncer.log'),
    password: at('admin-password'),
  }
  await writeFile(files.login, '')
  await writeFile(files.users, `"shop" "${application}"\n"rekey" "${administrator}"\n`)
  await writeFile(files.password, `${administrator}\n`)
  const config = await filledIn({
    POOLER_ADDR: '127.0.0.1',
    POOLER_PORT: String(port),
    POOLER_LOGIN: files.login,
    POOLER_USERS: files.users,
    POOLER_SOCKETS: '',
    POOLER_TLS: 'disable',
  })
  await writeFile(files.config, config)
  const server = restartable(
    '/bin/sh',
    ['-c', `exec "$0" "$@" 2>>"$LOG"`, binary, ...(isRoot ? ['-u', NOBODY.name] : []), files.config],
    { LOG: files.log },
    () => accepts(port),
  )
  await server.start()
  const admin = { host: '127.0.0.1', port, user: 'rekey' }
  return {
    dir,
    files,
    url: `postgres://shop:${application}@127.0.0.1:${port}/shop`,
    adapter: {
      kind: 'pgbouncer',
      path: files.login,
      database: 'shop',
      admin: { ...admin, passwordFile: files.password },
    },
    passwords: [application, administrator],
    log: () => readFile(files.log, 'utf8'),
    start: server.start,
    kill: server.kill,
    signal: server.signal,
    async stop() {
      await server.kill()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export type Pgbouncer = Awaited<ReturnType<typeof startPgbouncer>>

/** As `envsubst` does. */
async function filledIn(values: Record<string, string>): Promise<string> {
  const template = await readFile(EXAMPLE, 'utf8')
  return template.replace(/\$\{([A-Z_0-9]+)\}/g, (all, name: string) => values[name] ?? all)
}
