import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cached, folderOf, type Progress } from './cache.ts'
import { goBuild } from './go-build.ts'
import type { Ports } from './port.ts'
import { nativeServer, type Server } from './server.ts'
import { askVault, tellVault } from './vault-api.ts'

const recipe = (name: string) => readFileSync(new URL(`../recipes/vault/${name}`, import.meta.url), 'utf8')
const SOURCES = [
  'main.go',
  'go.mod',
  'go.sum',
  // In place of what a Vault that runs alone never uses, and what takes half of the time to compile it.
  'without/discover/go.mod',
  'without/discover/discover.go',
  'without/discover/provider/k8s/k8s.go',
  'without/okta/go.mod',
  'without/okta/okta/okta.go',
]
const BUILD = ['-tags', 'minimal', '-trimpath', '-ldflags=-s -w']
const PLUGIN = 'postgresql-database-plugin'

const artefact = () => ({
  name: 'vault',
  recipe: [...SOURCES.map(recipe), ...BUILD, process.platform, process.arch],
})

export type VaultFiles = { dir: string }

/** The vault command, where it was built before: for whoever can do without it. */
export function builtVault(): string | undefined {
  const binary = join(folderOf(artefact()), 'vault')
  return existsSync(binary) ? binary : undefined
}

/** Real Vault 1.21, compiled here because no package registry carries it. A tool of tests and demos, never shipped. */
export async function prepareVault(progress: Progress): Promise<VaultFiles> {
  const dir = await cached(
    {
      ...artefact(),
      notice: 'building Vault 1.21.0 with Go, once (400 MB to fetch, then 2 to 6 minutes)',
      async build(building, say) {
        const source = join(building, 'source')
        for (const name of SOURCES) {
          await mkdir(dirname(join(source, name)), { recursive: true })
          await writeFile(join(source, name), recipe(name))
        }
        await goBuild(
          building,
          {
            what: 'Vault',
            needs: '6 GB of disk and 3 GB of memory',
            instead: ', or name a running server in VAULT_ADDR',
            say,
          },
          async (go) => {
            await go(['build', '-mod=mod', ...BUILD, '-o', join(building, 'vault'), '.'], source)
          },
        )
        await rm(source, { recursive: true, force: true })
        await mkdir(join(building, 'plugins'))
        await link(join(building, 'vault'), join(building, 'plugins', PLUGIN))
        const sum = createHash('sha256').update(await readFile(join(building, 'vault')))
        await writeFile(join(building, 'plugins.sha256'), sum.digest('hex'))
      },
    },
    progress,
  )
  return { dir }
}

/** Not `-dev`: that one forgets everything when it is killed, and takes its root token from argv or the environment. */
export async function vaultServer(
  dir: string,
  ports: Ports,
  files: VaultFiles,
): Promise<{ server: Server; addr: string; rootTokenFile: string }> {
  const [port, clusterPort] = [await ports('vault'), await ports('vaultCluster')]
  const addr = `http://127.0.0.1:${port}`
  const data = join(dir, 'data', 'vault')
  const config = join(dir, 'data', 'vault.json')
  const unsealKeyFile = join(dir, 'admin', 'vault-unseal-key')
  const rootTokenFile = join(dir, 'admin', 'vault-root-token')
  await mkdir(data, { recursive: true })
  await writeFile(
    config,
    JSON.stringify({
      storage: { raft: { path: data, node_id: 'local', performance_multiplier: '1' } },
      listener: {
        tcp: { address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}`, tls_disable: true },
      },
      api_addr: addr,
      cluster_addr: `https://127.0.0.1:${clusterPort}`,
      plugin_directory: join(files.dir, 'plugins'),
      disable_mlock: true,
      log_level: 'warn',
    }),
  )

  async function unseal(): Promise<void> {
    if (!existsSync(unsealKeyFile)) {
      const made = await askVault(addr, undefined, 'PUT', 'sys/init', {
        secret_shares: 1,
        secret_threshold: 1,
      })
      await writeFile(unsealKeyFile, made.keys_base64[0], { mode: 0o600 })
      await writeFile(rootTokenFile, made.root_token, { mode: 0o600 })
    }
    const key = await readFile(unsealKeyFile, 'utf8')
    await askVault(addr, undefined, 'PUT', 'sys/unseal', { key })
    const token = await readFile(rootTokenFile, 'utf8')
    await tellVault(addr, token, `sys/plugins/catalog/database/${PLUGIN}`, {
      sha256: await readFile(join(files.dir, 'plugins.sha256'), 'utf8'),
      command: PLUGIN,
    })
  }

  const server = nativeServer({
    name: 'vault',
    dir,
    command: join(files.dir, 'vault'),
    args: ['server', `-config=${config}`],
    stopSignal: 'SIGTERM',
    reapSignal: 'KILL',
    ready: async () => (await fetch(`${addr}/v1/sys/seal-status`)).ok,
    afterStart: unseal,
  })
  return { server, addr, rootTokenFile }
}
