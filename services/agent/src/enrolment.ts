import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import type { EnrolRequest } from '@rekey/contracts'
import { EnrolResponse } from '@rekey/contracts'
import type { AgentConfig } from './config.ts'
import { EnrolmentError } from './enrolment-error.ts'
import {
  certificateMatches,
  completeIdentity,
  type Identity,
  identityFiles,
  isExpired,
  spiffeIdOf,
} from './identity.ts'
import { type Joining, joiningOf, type Pass } from './joining.ts'
import type { Log } from './log.ts'
import { newPrivateKey, publicKeyOf } from './private-key.ts'

/** Loaded when it is needed, because the X.509 library is large and an enrolled agent starts without it. */
const loadSigningRequest = () => import('./signing-request.ts')

const ANSWER_MAX_BYTES = 256 * 1024

type Answer = { status: number; body: string }

type Tls = { ca: string; cert?: string; key?: string }

function post(url: string, tls: Tls, body: string, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: 'POST',
        ...tls,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        let bytes = 0
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > ANSWER_MAX_BYTES) outgoing.destroy(new Error('the answer is too large'))
          else chunks.push(chunk)
        })
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        )
        incoming.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

type Request = { enrolUrl: string; ca: string; joining: Joining; pass: Pass }

async function ask(
  { enrolUrl, ca, joining, pass }: Request,
  about: Pick<EnrolRequest, 'node' | 'csr'>,
): Promise<EnrolResponse> {
  const byToken = 'joinToken' in pass
  const tls = byToken ? { ca } : { ca, ...pass }
  const body: EnrolRequest = byToken ? { ...about, ...pass } : about
  let answer: Answer
  try {
    answer = await post(new URL('/v1/enrol', enrolUrl).href, tls, JSON.stringify(body), 30_000)
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException
    throw new EnrolmentError(`the fleet could not be reached for enrolment (${code ?? name})`, {
      transient: true,
    })
  }
  if (answer.status === 503 || answer.status === 429) {
    throw new EnrolmentError(`the fleet cannot enrol now (${answer.status})`, { transient: true })
  }
  if (answer.status !== 200) throw joining.refused(answer.status, reasonIn(answer.body))
  try {
    return EnrolResponse.parse(JSON.parse(answer.body))
  } catch {
    throw new EnrolmentError(`the fleet's answer is not an enrolment; ${joining.remedy}`, {
      transient: false,
    })
  }
}

/** What the fleet says of a refusal, made plain: it goes to a log. */
function reasonIn(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: unknown }
    return typeof error === 'string'
      ? error
          .toWellFormed()
          .replaceAll(/\p{Cc}/gu, ' ')
          .slice(0, 300)
      : undefined
  } catch {
    return undefined
  }
}

/** Opens a response-wrapped secret id. Only one reader can: a second one means that somebody else was first. */
export type Unwrap = (wrappingToken: string) => Promise<string | 'used' | 'unreachable'>

/**
 * Gets this node its certificate and its Vault identity. Each step is stored before the next, and a repeat goes on
 * where the last one stopped:
 *   1. private key stored · 2. join token redeemed, answer stored · 3. secret id unwrapped and stored
 * Between redeeming and storing, and between unwrapping and storing, a crash loses something that exists only once;
 * there the repeat ends in a clear error, and a new join token starts over at 2. An SVID does so by itself.
 */
export async function enrol(config: AgentConfig, options: { unwrap: Unwrap; log: Log }): Promise<Identity> {
  const { log, unwrap } = options
  const joining = joiningOf(config)
  const files = identityFiles(config.stateDir)
  const spiffeId = spiffeIdOf(config.node)
  let stored = await files.load()

  // A certificate that ended cannot be renewed: the node has to join again, with the same key.
  if (stored.enrolled && isExpired(stored.enrolled, Date.now())) {
    stored = { ...stored, enrolled: undefined, secretId: undefined }
  }
  const already = completeIdentity(stored)
  if (already) return already

  let privateKey = stored.privateKey
  if (privateKey === undefined) {
    privateKey = await newPrivateKey()
    await files.saveKey(privateKey)
  }

  // An enrolment that stopped between 2 and 3 is finished first. If its secret id is gone, it is tried once more from 2:
  // with an SVID, or with a join token that the operator renewed by then.
  if (stored.enrolled) {
    const secretId = await unwrap(stored.enrolled.wrappedSecretId)
    if (secretId === 'unreachable') {
      throw new EnrolmentError('Vault could not be reached to unwrap the secret id', { transient: true })
    }
    if (secretId !== 'used') {
      await files.saveSecretId(secretId)
      return finished(config.node, { files, joining, log })
    }
    log.warn({ node: config.node }, 'the stored wrapped secret id cannot be opened any more, enrolling anew')
  }

  const pass = await joining.read()
  const { enrolUrl, caFile } = config.fleet
  const { signingRequest } = await loadSigningRequest()
  const response = await ask(
    { enrolUrl, ca: await readFile(caFile, 'utf8'), joining, pass },
    { node: config.node, csr: await signingRequest(privateKey, spiffeId) },
  )
  if (response.spiffeId !== spiffeId || !certificateMatches(response.certificate, publicKeyOf(privateKey))) {
    throw new EnrolmentError(
      `the fleet answered with a certificate for another node or key; ${joining.remedy}`,
      { transient: false },
    )
  }
  const { vault, ...certificate } = response
  await files.forgetSecretId()
  await files.saveEnrolled({ ...certificate, roleId: vault.roleId, wrappedSecretId: vault.wrappedSecretId })

  const secretId = await unwrap(vault.wrappedSecretId)
  if (secretId === 'unreachable') {
    throw new EnrolmentError('Vault could not be reached to unwrap the secret id', { transient: true })
  }
  if (secretId === 'used') {
    throw new EnrolmentError(
      `the wrapped secret id was opened already or has expired; unless this agent was interrupted, ` +
        `somebody else read it: have the node's identity revoked, then ${joining.remedy}`,
      { transient: false },
    )
  }
  await files.saveSecretId(secretId)
  return finished(config.node, { files, joining, log })
}

async function finished(
  node: string,
  { files, joining, log }: { files: ReturnType<typeof identityFiles>; joining: Joining; log: Log },
): Promise<Identity> {
  const identity = completeIdentity(await files.load())
  if (!identity) throw new Error('enrolment ended without an identity')
  await joining.done()
  log.info({ node, expiresAt: identity.expiresAt }, 'the node is enrolled')
  return identity
}
