import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet'
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { Service } from 'kubernetes-models/v1/Service'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readAuthorizerConfig } from '../src/authorizer/config.ts'
import { readCommandLine } from '../src/command-line.ts'
import { parseConfig } from '../src/config.ts'

const examples = new URL('../../../examples/', import.meta.url).pathname
const read = (name: string) => readFileSync(join(examples, name), 'utf8')

/** What rekey-agent makes of a command of an example. */
const understood = (command: string[]) => {
  expect(command[0]).toMatch(/(^|\/)rekey-agent$/)
  return readCommandLine(command.slice(1))
}

describe('examples/systemd', () => {
  const units = globSync('systemd/*.service', { cwd: examples })
  /** As systemd reads them: a key may come more than once. */
  const keysOf = (unit: string) =>
    read(unit)
      .split('\n')
      .filter((line) => /^[A-Z]/.test(line))
      .map((line) => line.split(/=(.*)/s, 2) as [string, string])

  test('there are two', () => expect(units.sort()).toHaveLength(2))

  test.each(units)('%s is started again, has no rights, and keeps its state from others', (unit) => {
    const keys = Object.fromEntries(keysOf(unit))
    expect(keys).toMatchObject({
      User: 'rekey',
      Restart: 'always',
      NoNewPrivileges: 'yes',
      CapabilityBoundingSet: '',
      ProtectSystem: 'strict',
      ProtectHome: 'yes',
      StateDirectoryMode: '0700',
      RuntimeDirectoryPreserve: 'yes',
    })
    expect(understood((keys.ExecStart ?? '').replace('%i', '1').split(' '))).toMatchObject({
      command: unit.includes('authorizer') ? 'authorizer' : 'run',
    })
  })

  test.runIf(existsSync('/usr/bin/systemd-analyze')).each(units)('systemd finds no fault in %s', (unit) => {
    const dir = mkdtempSync(join(tmpdir(), 'rekey-unit-'))
    onTestFinished(() => rmSync(dir, { recursive: true }))
    const copy = join(dir, unit.slice('systemd/'.length))
    // It looks for the program, too.
    writeFileSync(copy, read(unit).replace('=/usr/local/bin/rekey-agent', `=${process.execPath}`))
    const analyze = (...args: string[]) => execFileSync('systemd-analyze', [...args, copy], { stdio: 'pipe' })
    // It complains on standard error, whatever its code.
    expect(() => analyze('verify', '--man=no')).not.toThrow()
    // 10 is no protection at all, 0 is no contact with the world: what is left is network and sockets.
    expect(() => analyze('security', '--offline=true', '--threshold=20')).not.toThrow()
  })

  test('the configurations are what the programs take, in the folders that the units make', async () => {
    const config = parseConfig(read('systemd/agent.yaml'), '/etc/rekey')
    const keys = keysOf('systemd/rekey-agent.service')
    const value = (name: string) => keys.find(([key]) => key === name)?.[1] ?? ''
    expect(config.stateDir).toBe(`/var/lib/${value('StateDirectory')}`)
    expect(config.joinTokenFile).toBe(
      `/run/credentials/rekey-agent.service/${value('LoadCredential').split(':')[0]}`,
    )
    expect(config.adapters[0]).toMatchObject({ socket: `/run/${value('RuntimeDirectory')}/haproxy.sock` })
    const authorizer = await readAuthorizerConfig(join(examples, 'systemd/authorizer-1.yaml'))
    expect(authorizer.keysFile).toMatch(/^\/var\/lib\/rekey-authorizer\//)
  })
})

test('examples/spire is a configuration that the agent takes, with the files that spiffe-helper writes', () => {
  const { svid, joinTokenFile } = parseConfig(read('spire/agent.yaml'), '/etc/rekey')
  expect(joinTokenFile).toBeUndefined()
  const helper = Object.fromEntries(
    [...read('spire/helper.conf').matchAll(/^(\w+) = "?([^"\n]+)"?$/gm)].map(([, key, value]) => [
      key,
      value,
    ]),
  )
  expect(svid).toEqual({
    certFile: `${helper.cert_dir}/${helper.svid_file_name}`,
    keyFile: `${helper.cert_dir}/${helper.svid_key_file_name}`,
  })
})

const KINDS = { ConfigMap, DaemonSet, Service, StatefulSet }
type Manifest = { kind: keyof typeof KINDS } & Record<string, unknown>

describe('examples/kubernetes', () => {
  const manifests = (name: string) =>
    parseAllDocuments(read(`kubernetes/${name}`)).map((document) => document.toJS() as Manifest)
  const only = <K extends keyof typeof KINDS>(name: string, kind: K): InstanceType<(typeof KINDS)[K]> => {
    const found = manifests(name).filter((manifest) => manifest.kind === kind)
    expect(found).toHaveLength(1)
    return new KINDS[kind](found[0] as never) as InstanceType<(typeof KINDS)[K]>
  }

  test.each(['sidecar.yaml', 'daemonset.yaml'])('%s is what Kubernetes takes', (name) => {
    for (const manifest of manifests(name))
      expect(() => new KINDS[manifest.kind](manifest as never).validate(), manifest.kind).not.toThrow()
  })

  test('the schemas would find a mistake', () => {
    const set = only('sidecar.yaml', 'StatefulSet')
    const wrong = { ...(set.toJSON() as object), spec: { ...set.spec, replicas: 'two' } }
    expect(() => new StatefulSet(wrong as never).validate()).toThrow()
  })

  test.each([
    ['sidecar.yaml', 'StatefulSet'],
    ['daemonset.yaml', 'DaemonSet'],
  ] as const)('%s has a configuration that the agent takes, on volumes that are there', (name, kind) => {
    const map = only(name, 'ConfigMap')
    const config = parseConfig((map.data?.['agent.yaml'] ?? '').replaceAll('NODE_NAME', 'gateway-0'), '/none')
    const spec = only(name, kind).spec
    const pod = spec?.template.spec
    const agent = pod?.containers.find((container) => container.name === 'rekey-agent')
    const mounted = agent?.volumeMounts?.map(({ mountPath }) => mountPath) ?? []
    const used = [config.stateDir, config.fleet.caFile, config.joinTokenFile ?? '', '/run/rekey/haproxy.sock']
    for (const path of used) expect(mounted.filter((mount) => path.startsWith(`${mount}/`))).toHaveLength(1)
    const { command = [], readinessProbe } = agent ?? {}
    expect(understood(command)).toMatchObject({ command: 'run' })
    expect(readinessProbe?.exec?.command?.join(' ')).toMatch(
      /rekey-agent[ ,]+status[ ,]+--config \S+agent\.yaml/,
    )
    // Every name of a mount is a volume, or the claim of a StatefulSet.
    const claims = spec && 'volumeClaimTemplates' in spec ? (spec.volumeClaimTemplates ?? []) : []
    const volumes = [
      ...(pod?.volumes?.map((volume) => volume.name) ?? []),
      ...claims.map(({ metadata }) => metadata?.name),
    ]
    const containers = [...(pod?.containers ?? []), ...(pod?.initContainers ?? [])]
    for (const { volumeMounts = [], securityContext } of containers) {
      for (const mount of volumeMounts) expect(volumes).toContain(mount.name)
      expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
    }
    expect(pod?.securityContext).toMatchObject({ runAsNonRoot: true })
    expect(pod?.automountServiceAccountToken).toBe(false)
  })

  test('gateway and agent of a pod share their socket in memory', () => {
    const pod = only('sidecar.yaml', 'StatefulSet').spec?.template.spec
    expect(pod?.volumes?.find(({ name }) => name === 'run')?.emptyDir?.medium).toBe('Memory')
    const mounts = pod?.containers.map(
      ({ volumeMounts }) => volumeMounts?.find(({ name }) => name === 'run')?.mountPath,
    )
    expect(mounts).toEqual(['/run/rekey', '/run/rekey'])
  })
})
