import { readFile } from 'node:fs/promises'
import { type AcceptedValue, bundleParts, type Probe, type Secret } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { afterChange, markerOf, markOf, perform, resolvedAfter } from '../after-change.ts'
import { awsTry } from '../aws-try.ts'
import { bearerTry } from '../bearer-try.ts'
import { checkProbe, mtlsServer, resolvedServers, shownServer } from '../certificate-probe.ts'
import { defineAdapter } from '../definition.ts'
import { latestOf } from '../latest.ts'
import { mtlsTry } from '../mtls-try.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { postgresTry } from '../postgres-try.ts'
import { ShownCertificate } from '../shown.ts'
import { tryUntil } from '../try-until.ts'
import { holdsPair, sweepPair, writePair } from './pair.ts'

export const FileConfig = z
  .strictObject({
    credential: z.string().min(1),
    kind: z.literal('file'),
    /** Put it on tmpfs: it holds values. */
    path: z.string().min(1),
    /**
     * `value`: the value alone, as the store has it, for an application that presents one: the latest, or nothing. `tls`: of
     * a certificate with its key, `path` being a folder, `tls.crt` and `tls.key`, which change together.
     */
    format: z.enum(['json', 'plain', 'value', 'tls']).default('json'),
    /** Answers 2xx to an accepted key and 401 or 403 to any other. Without it or `probe` nothing can be tried. */
    probeUrl: z.url({ protocol: /^https?$/ }).optional(),
    /**
     * How a value is tried that needs no address: `postgres` and `redis` log in where it says, `aws` asks who it is. `approle` logs into
     * Vault with it as the role that `appRole` names. `mtls` presents a certificate to the server that `mtls` names, and `shown`
     * looks which one the software at the address in `shown` shows.
     */
    probe: z.enum(['postgres', 'redis', 'aws', 'approle', 'mtls', 'shown']).optional(),
    appRole: z
      .strictObject({
        addr: z.url({ protocol: /^https?$/ }),
        mount: z.string().min(1).default('approle'),
        /** Holds the role id, as Vault Agent's `role_id_file_path` does. */
        roleIdFile: z.string().min(1),
      })
      .optional(),
    mtls: mtlsServer.optional(),
    shown: shownServer.optional(),
    /** What makes software take up a file that it does not read again by itself: a signal to it, or a command. */
    after: afterChange.optional(),
  })
  .superRefine(({ probe, appRole, mtls, shown }, context) => {
    const settings = [
      ['appRole', 'approle', appRole],
      ['mtls', 'mtls', mtls],
      ['shown', 'shown', shown],
    ] as const
    checkProbe(probe, settings, context)
  })
export type FileConfig = z.infer<typeof FileConfig>

export function contentOf(accept: AcceptedValue[], format: Exclude<FileConfig['format'], 'tls'>): string {
  const ordered = accept.toSorted((a, b) => a.generation - b.generation)
  if (format === 'value') {
    const latest = latestOf(accept)
    return latest ? `${latest.value.reveal()}\n` : ''
  }
  if (format === 'plain') return ordered.map((a) => `${a.value.reveal()}\n`).join('')
  const rows = ordered.map((a) => ({ key_id: a.keyId, generation: a.generation, value: a.value.reveal() }))
  return `${JSON.stringify({ accept: rows }, null, 2)}\n`
}

const TRY_MS = 3_000

/** How a value is tried on this node's real path. Undefined: it cannot be. */
function trialOf({
  probe,
  probeUrl,
  appRole,
  mtls,
}: FileConfig): ((value: Secret) => Promise<Probe>) | undefined {
  if (probe === 'postgres') return (value) => postgresTry(value, TRY_MS)
  if (probe === 'aws') return (value) => awsTry(value, TRY_MS)
  if (probe === 'redis')
    return async (value) => {
      // Loaded where it is used: most nodes have no business with Redis.
      const { tryRedisLogin } = await import('@rekey/backend-redis-acl-pair')
      return tryRedisLogin(value, AbortSignal.timeout(TRY_MS))
    }
  if (appRole)
    return async (value) => {
      // Loaded where it is used: most nodes have no business with a Vault of their own.
      const { anonymousVault, trySecretId } = await import('@rekey/backend-vault/reading')
      const vault = anonymousVault({ addr: appRole.addr })
      const roleId = async () => (await readFile(appRole.roleIdFile, 'utf8')).trim()
      try {
        const role = { mount: appRole.mount, roleId }
        return (await trySecretId(vault, role, value, { signal: AbortSignal.timeout(TRY_MS) })).verdict
      } finally {
        vault.close()
      }
    }
  if (mtls) return (value) => mtlsTry(mtls, value)
  return probeUrl === undefined ? undefined : (value) => bearerTry(probeUrl, value)
}

/** The same content is not written again: a watcher would re-read for nothing. */
function filesOf({
  path,
  format,
}: FileConfig): Pick<NodeAdapter, 'apply'> & Required<Pick<NodeAdapter, 'holds'>> {
  if (format === 'tls') {
    const pairOf = (accept: AcceptedValue[]) => {
      const latest = latestOf(accept)
      return latest && bundleParts(latest.value)
    }
    const holds = async (accept: AcceptedValue[]) => holdsPair(path, pairOf(accept))
    return {
      holds,
      apply: async (accept) => ((await holds(accept)) ? sweepPair(path) : writePair(path, pairOf(accept))),
    }
  }
  const holds = async (accept: AcceptedValue[]) => (await readIfPresent(path)) === contentOf(accept, format)
  return {
    holds,
    async apply(accept) {
      if (!(await holds(accept))) await writeDurably(path, contentOf(accept, format))
    },
  }
}

/** The same, and the software is told of it. Whether it was is known after a crash, too. */
function toldOf(config: FileConfig): ReturnType<typeof filesOf> {
  const { path, format, after } = config
  const files = filesOf(config)
  if (!after) return files
  const mark = markOf(path)
  const contentFor = (accept: AcceptedValue[]) =>
    format === 'tls' ? (latestOf(accept)?.value.reveal() ?? '') : contentOf(accept, format)
  return {
    holds: async (accept) => (await files.holds(accept)) && (await mark.isSet(contentFor(accept))),
    async apply(accept) {
      const content = contentFor(accept)
      if (!(await files.holds(accept))) await mark.clear()
      await files.apply(accept)
      if (await mark.isSet(content)) return
      await perform(after)
      await mark.set(content)
    },
  }
}

/** For software that reads its keys from a file and follows a rename, or reads it again when it is told to. */
export function fileAdapter(config: FileConfig): NodeAdapter {
  const shown = config.shown && new ShownCertificate(config.shown)
  const once = shown ? (value: Secret) => shown.try(value) : trialOf(config)
  // Only that goes through the software: the others ask whoever verifies what it presents.
  const untilTakenUp = config.after && config.probeUrl && once ? tryUntil(once) : undefined
  const tryIt = untilTakenUp?.try ?? once
  const files = toldOf(config)
  return {
    kind: 'file',
    disruption: config.after ? 'C' : 'B',
    canTry: tryIt !== undefined,
    ...files,
    async apply(accept) {
      await files.apply(accept)
      shown?.given(accept)
      untilTakenUp?.given(accept)
    },
    async tryValue(value) {
      return tryIt?.(value) ?? 'unknown'
    },
    async usage() {
      return shown?.usage()
    },
    ...(shown && { countingAgeMs: async () => shown.countingAgeMs() }),
    async close() {},
  }
}

export const fileDefinition = defineAdapter({
  config: FileConfig,
  claims: ({ path, after }) => [`path ${path}`, ...(after ? [`path ${markerOf(path)}`] : [])],
  resolved: ({ path, appRole, mtls, shown, after, ...rest }, at) => ({
    ...rest,
    path: at(path),
    ...(after && { after: resolvedAfter(after, at) }),
    ...(appRole && { appRole: { ...appRole, roleIdFile: at(appRole.roleIdFile) } }),
    ...resolvedServers({ mtls, shown }, at),
  }),
  make: fileAdapter,
})
