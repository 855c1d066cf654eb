import { setTimeout as delay } from 'node:timers/promises'
import type { AcceptedValue, Probe, Secret } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'
import { bearerTry } from '../bearer-try.ts'
import { checkProbe, mtlsServer, resolvedServers, shownServer } from '../certificate-probe.ts'
import { defineAdapter } from '../definition.ts'
import { latestOf } from '../latest.ts'
import { mtlsTry } from '../mtls-try.ts'
import type { NodeAdapter } from '../node-adapter.ts'
import { ShownCertificate } from '../shown.ts'
import { envoyAdmin, isAdminAddress } from './admin.ts'
import { complaint } from './complaint.ts'
import { contentOf, serialOf, versionOf } from './discovery-response.ts'

export const EnvoyConfig = z
  .strictObject({
    credential: z.string().min(1),
    kind: z.literal('envoy'),
    /** The file that Envoy's `path_config_source` names, in the folder that it watches. Put it on tmpfs: it holds a value. */
    path: z.string().min(1),
    /** Its name in Envoy's configuration, where it is the only one of that name. */
    secret: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'use letters, digits, . _ and - (at most 128)'),
    /** `generic`: the value, for the credential injector. `tls`: a certificate with its chain and key. */
    type: z.enum(['generic', 'tls']),
    admin: z
      .string()
      .min(1)
      .refine(
        isAdminAddress,
        'http on loopback, such as http://127.0.0.1:9901, or the path of a unix socket',
      ),
    /**
     * Answers 2xx to a value that works and 401 or 403 to any other. Not through Envoy, which would present its own. Without it
     * or `probe` nothing can be tried.
     */
    probeUrl: z.url({ protocol: /^https?$/ }).optional(),
    /** Of a certificate: `mtls` presents it to the server that `mtls` names, `shown` looks which one is shown at `shown`. */
    probe: z.enum(['mtls', 'shown']).optional(),
    mtls: mtlsServer.optional(),
    shown: shownServer.optional(),
  })
  .superRefine(({ type, probe, probeUrl, mtls, shown }, context) => {
    const settings = [
      ['mtls', 'mtls', mtls],
      ['shown', 'shown', shown],
    ] as const
    checkProbe(probe, settings, context)
    for (const [field, owner, found] of [
      ['probe', 'tls', probe],
      ['probeUrl', 'generic', probeUrl],
    ] as const) {
      if (found === undefined || type === owner) continue
      context.addIssue({ code: 'custom', path: [field], message: `belongs to \`type: ${owner}\`` })
    }
  })
export type EnvoyConfig = z.infer<typeof EnvoyConfig>

/** How long Envoy may take up what it was given before that is said to have failed. It takes some 15 ms. */
const TAKE_UP_MS = 2_000
const LOOK_AGAIN_MS = 25

/** What Envoy presents for others: delivered by file, and seen in its memory. */
export function envoyAdapter(config: EnvoyConfig): NodeAdapter {
  const { path, secret, type, probeUrl, mtls } = config
  const admin = envoyAdmin(config.admin)
  const shown = config.shown && new ShownCertificate(config.shown)
  const tryIt = ((): ((value: Secret) => Promise<Probe>) | undefined => {
    if (shown) return (value) => shown.try(value)
    if (mtls) return (value) => mtlsTry(mtls, value)
    return probeUrl === undefined ? undefined : (value) => bearerTry(probeUrl, value)
  })()

  /** What was refused before Envoy was given it. */
  let declined: Secret | undefined

  const isWritten = async (latest: AcceptedValue | undefined) =>
    (await readIfPresent(path)) === contentOf(latest, secret, type)

  /**
   * A version that was taken up is not enough of a certificate: one that Envoy rejected and reads again, because another file in the
   * folder was renamed, counts as taken up, and the one before stays in use.
   */
  const isUsed = async (latest: AcceptedValue | undefined, version: string | undefined) => {
    if (version !== versionOf(latest, type)) return false
    return !latest || type === 'generic' || (await admin.serials()).has(serialOf(latest.value))
  }

  async function takenUp(latest: AcceptedValue | undefined): Promise<void> {
    const until = performance.now() + TAKE_UP_MS
    for (;;) {
      const version = await admin.version(secret)
      if (await isUsed(latest, version)) return
      if (performance.now() >= until) {
        const wanted = versionOf(latest, type)
        throw new Error(complaint({ secret, path, wanted, version, updates: await admin.updates(secret) }))
      }
      await delay(LOOK_AGAIN_MS)
    }
  }

  return {
    kind: 'envoy',
    disruption: 'A',
    canTry: tryIt !== undefined,
    async apply(accept) {
      declined = undefined
      const latest = latestOf(accept)
      // Everybody on this node would present it. What works stays, and the try that follows says why.
      if (latest && !shown && !(await isWritten(latest)) && (await tryIt?.(latest.value)) === 'refused') {
        declined = latest.value
        return
      }
      // By a rename, which is all that Envoy follows. The file is written with Envoy down, too: it starts with it.
      if (!(await isWritten(latest))) await writeDurably(path, contentOf(latest, secret, type))
      await takenUp(latest)
      shown?.given(accept)
    },
    async holds(accept) {
      const latest = latestOf(accept)
      return (await isWritten(latest)) && isUsed(latest, await admin.version(secret))
    },
    async tryValue(value) {
      return declined?.equals(value) ? 'refused' : (tryIt?.(value) ?? 'unknown')
    },
    /** Of a key the authority is asked. Of a certificate that is shown, this node sees it. */
    async usage() {
      return shown?.usage()
    },
    ...(shown && { countingAgeMs: async () => shown.countingAgeMs() }),
    async close() {},
  }
}

export const envoyDefinition = defineAdapter({
  config: EnvoyConfig,
  claims: ({ path, admin, secret }) => [`path ${path}`, `secret ${secret} at ${admin}`],
  resolved: ({ mtls, shown, ...rest }, at) => ({
    ...rest,
    path: at(rest.path),
    // As one address is one, however it is written.
    admin: rest.admin.includes('://') ? new URL(rest.admin).origin : at(rest.admin),
    ...resolvedServers({ mtls, shown }, at),
  }),
  make: envoyAdapter,
})
