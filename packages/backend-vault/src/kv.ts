import { RekeyError } from '@rekey/contracts'
import { mentionsRoute } from './failure.ts'
import { vaultPath } from './path.ts'
import { type Bound, isRecord, type VaultReply, type VaultRequest, type VaultSession } from './session.ts'

export type KvVersion = { version: number; data: Record<string, unknown> }

export type KvMetadata = {
  currentVersion: number
  customMetadata: Record<string, string>
  /** Every version that Vault still knows. `deleted` is soft: its bytes can be brought back until destroyed. */
  versions: { version: number; deleted: boolean; destroyed: boolean }[]
}

/** KV version 2, as plain verbs. A thing that is not there is `undefined` or an empty list, never an error. */
export type VaultKv = {
  kvRead(mount: string, path: string, options?: Bound & { version?: number }): Promise<KvVersion | undefined>
  /** `cas`: the version that must be current (0: none ever was). `mismatch`: it is another one. */
  kvWrite(
    mount: string,
    path: string,
    data: Record<string, unknown>,
    options?: Bound & { cas?: number },
  ): Promise<number | 'mismatch'>
  kvMetadata(mount: string, path: string, bound?: Bound): Promise<KvMetadata | undefined>
  kvWriteCustomMetadata(
    mount: string,
    path: string,
    customMetadata: Record<string, string>,
    bound?: Bound,
  ): Promise<void>
  /** Overwrites the bytes of these versions. Unlike KV's `delete`, nothing brings them back. */
  kvDestroy(mount: string, path: string, versions: readonly number[], bound?: Bound): Promise<void>
  /** Ends all versions and the path's own record. */
  kvDeleteMetadata(mount: string, path: string, bound?: Bound): Promise<void>
  /** Names directly below a path, `` being the whole mount; a folder's name ends in a slash. */
  kvList(mount: string, path: string, bound?: Bound): Promise<string[]>
}

/** `namespace`: where all of it is, below the one that the session's identity logs in to. */
export function vaultKv(session: VaultSession, namespace?: string): VaultKv {
  const at = namespace === undefined ? '' : ` in the namespace ${namespace}`
  const send = (request: VaultRequest, bound?: Bound): Promise<VaultReply> =>
    session.send({ ...request, ...(namespace !== undefined && { namespace }) }, bound)
  return {
    async kvRead(mount, path, options = {}) {
      const what = `read ${mount}/${path}${at}`
      const query = options.version === undefined ? {} : { query: { version: String(options.version) } }
      const request = { method: 'GET', path: vaultPath(mount, 'data', path), what, answers: [404] } as const
      const reply = await send({ ...request, ...query }, options)
      if (reply.status === 404) {
        if (mentionsRoute(reply)) {
          const or = namespace === undefined ? '' : ', or there is no such namespace'
          throw new RekeyError('not_found', `${what}: nothing is mounted at ${mount}${or}`)
        }
        return undefined
      }
      const data = isRecord(reply.body.data) ? reply.body.data : {}
      const version = isRecord(data.metadata) ? data.metadata.version : undefined
      if (!isRecord(data.data) || typeof version !== 'number') {
        throw new RekeyError('bad_response', `${what}: not the answer of a KV version 2 mount`)
      }
      return { version, data: data.data }
    },

    async kvWrite(mount, path, data, options = {}) {
      const what = `write ${mount}/${path}${at}`
      const body = { data, ...(options.cas !== undefined && { options: { cas: options.cas } }) }
      const reply = await send(
        { method: 'POST', path: vaultPath(mount, 'data', path), what, body, answers: [400] },
        options,
      )
      if (reply.status === 400) {
        if (/check-and-set parameter did not match/.test(JSON.stringify(reply.body.errors ?? ''))) {
          return 'mismatch'
        }
        throw new RekeyError('invalid_configuration', `${what}: Vault answered 400`)
      }
      const version = isRecord(reply.body.data) ? reply.body.data.version : undefined
      if (typeof version === 'number') return version
      throw new RekeyError('bad_response', `${what}: not the answer of a KV version 2 mount`)
    },

    async kvMetadata(mount, path, bound) {
      const what = `read the metadata of ${mount}/${path}${at}`
      const reply = await send(
        { method: 'GET', path: vaultPath(mount, 'metadata', path), what, answers: [404] },
        bound,
      )
      if (reply.status === 404) return undefined
      const data = isRecord(reply.body.data) ? reply.body.data : {}
      if (typeof data.current_version !== 'number' || !isRecord(data.versions)) {
        throw new RekeyError('bad_response', `${what}: not the answer of a KV version 2 mount`)
      }
      const versions = Object.entries(data.versions).map(([version, seen]) => ({
        version: Number(version),
        deleted: isRecord(seen) && seen.deletion_time !== '',
        destroyed: isRecord(seen) && seen.destroyed === true,
      }))
      const custom = isRecord(data.custom_metadata) ? Object.entries(data.custom_metadata) : []
      return {
        currentVersion: data.current_version,
        customMetadata: Object.fromEntries(custom.map(([key, value]) => [key, String(value)])),
        versions: versions.sort((a, b) => a.version - b.version),
      }
    },

    async kvWriteCustomMetadata(mount, path, customMetadata, bound) {
      const what = `write the metadata of ${mount}/${path}${at}`
      const body = { custom_metadata: customMetadata }
      await send({ method: 'POST', path: vaultPath(mount, 'metadata', path), what, body }, bound)
    },

    async kvDestroy(mount, path, versions, bound) {
      const what = `destroy versions of ${mount}/${path}${at}`
      const body = { versions: [...versions] }
      const request = { method: 'PUT', path: vaultPath(mount, 'destroy', path), what, body } as const
      await send({ ...request, answers: [404] }, bound)
    },

    async kvDeleteMetadata(mount, path, bound) {
      const what = `delete ${mount}/${path} with all its versions${at}`
      const request = { method: 'DELETE', path: vaultPath(mount, 'metadata', path), what } as const
      await send({ ...request, answers: [404] }, bound)
    },

    async kvList(mount, path, bound) {
      const what = `list ${mount}/${path}${at}`
      const names = path === '' ? vaultPath(mount, 'metadata') : vaultPath(mount, 'metadata', path)
      // Vault's other form is the HTTP verb LIST, which proxies may not know.
      const request = { method: 'GET', path: names, what } as const
      const reply = await send({ ...request, query: { list: 'true' }, answers: [404] }, bound)
      // As for a read: no names is one thing, no mount another.
      if (reply.status === 404 && mentionsRoute(reply))
        throw new RekeyError('not_found', `${what}: nothing is mounted at ${mount}`)
      const keys = isRecord(reply.body.data) ? reply.body.data.keys : undefined
      return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : []
    },
  }
}
