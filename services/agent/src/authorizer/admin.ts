import { createServer, type IncomingMessage, type Server } from 'node:http'
import { z } from 'zod'
import type { Log } from '../log.ts'
import { EntriesJson, type Keys, type Part } from './keys.ts'
import type { Uses } from './uses.ts'

const BODY_MAX_BYTES = 1024 * 1024
const PATH = /^\/credentials\/([a-z0-9-]{1,63})\/(keys|graves|uses)$/

const KeyUse = z.object({
  keyId: z.string(),
  inFlight: z.number(),
  lastUseAgeMs: z.number().nullable(),
  requests: z.number(),
  failures: z.number().optional(),
})
const AddressUse = z.object({
  keyId: z.string(),
  address: z.string(),
  requests: z.number(),
  lastUseAgeMs: z.number(),
})
/** What `GET /credentials/NAME/uses` answers; `upMs`: for how long it has been counting. */
export const UsesReport = z.object({
  upMs: z.number(),
  keys: z.array(KeyUse),
  clients: z.array(AddressUse),
  knocks: z.array(AddressUse),
})
export type UsesReport = z.infer<typeof UsesReport>

/**
 * What the agent asks for, HTTP with JSON: `GET` and `PUT` of `/credentials/NAME/keys` (what is accepted) and `…/graves` (what is
 * dead, and noticed), each a whole object of SHA-256 → key id, and `GET …/uses`.
 */
export function adminServer(keys: Keys, uses: Uses, log: Pick<Log, 'error'>): Server {
  return createServer((request, response) => {
    const reply = (status: number, body?: unknown) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      response.writeHead(status, { 'content-type': 'application/json' }).end(text)
    }
    handle(request, keys, uses).then(
      ({ status, body }) => reply(status, body),
      (error: NodeJS.ErrnoException) => {
        // A full disk, for instance. What is refused is refused nevertheless.
        log.error({ code: error.code }, 'the file of keys could not be written')
        reply(500, { error: error.code ?? 'failed' })
      },
    )
  })
}

async function handle(
  request: IncomingMessage,
  keys: Keys,
  uses: Uses,
): Promise<{ status: number; body?: unknown }> {
  const [, credential, what] = PATH.exec(request.url ?? '') ?? []
  if (credential === undefined || what === undefined) return { status: 404, body: { error: 'not found' } }
  if (request.method === 'GET') {
    if (what === 'uses') return { status: 200, body: reportOf(credential, keys, uses) }
    await keys.mend()
    return { status: 200, body: Object.fromEntries(keys.of(credential, what as Part)) }
  }
  if (request.method !== 'PUT' || what === 'uses') return { status: 405, body: { error: 'not allowed' } }
  const body = await bodyOf(request)
  const entries = body === undefined ? undefined : EntriesJson.safeParse(body)
  if (!entries?.success) return { status: 400, body: { error: 'not an object of SHA-256 and key ids' } }
  // By dead keys alone a credential is not known: its live ones would be refused, in place of being asked for elsewhere.
  if (what === 'graves' && !keys.knows(credential)) return { status: 409, body: { error: 'keys come first' } }
  // Without a file nobody knows what ran with them before.
  if (what === 'keys' && !keys.knows(credential)) uses.assume(entries.data.values())
  await keys.swap(credential, what as Part, entries.data)
  return { status: 204 }
}

/** All that was counted for a credential, also of keys that it no longer accepts: their requests may still run. */
function reportOf(credential: string, keys: Keys, uses: Uses): UsesReport {
  const isIts = ({ keyId }: { keyId: string }) => keyId.startsWith(`${credential}.g`)
  const known = new Set([...keys.of(credential, 'keys').values(), ...uses.counted()])
  return {
    upMs: uses.upMs,
    keys: uses.keys(known).filter(isIts),
    clients: uses.clients().filter(isIts),
    knocks: uses.knocks().filter(isIts),
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    // Read to its end nevertheless: who is cut off in the middle hears no answer.
    if (bytes <= BODY_MAX_BYTES) chunks.push(chunk as Buffer)
  }
  if (bytes > BODY_MAX_BYTES) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    return undefined
  }
}
