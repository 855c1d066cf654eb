import { enrolNodeIdentity, retireNodeIdentity, type VaultClient } from '@rekey/backend-vault'
import { EnrolRequest, type EnrolResponse, RekeyError } from '@rekey/contracts'
import type { FleetLedger, JoinedNode, NodeIdentity } from '@rekey/ledger'
import type { Counters } from './counters.ts'
import type { Log } from './log.ts'
import { spiffeIdOf } from './peer.ts'
import { requestFault } from './signing-request.ts'
import { readSvid, type ShownCertificate } from './svid.ts'
import type { SvidTemplate } from './svid-template.ts'

/** 401: the certificate is not trusted now, which may end by itself; 403: this node may not come in like this. */
type Refusal = 400 | 401 | 403 | 502 | 503
export type EnrolmentAnswer = { status: 200; body: EnrolResponse } | { status: Refusal; error: string }

export type EnrolmentOptions = {
  ledger: Pick<FleetLedger, 'redeemJoinToken' | 'joinByIdentity'>
  vault: VaultClient
  counters: Counters
  log: Log
  /** Whom certificates of SPIRE speak for. Without it nodes enrol with join tokens alone. */
  template?: SvidTemplate | undefined
}

const NODE_ROLE = 'rekey-node'

/**
 * Turns a join token, or a certificate of SPIRE that the handshake has checked, into a node's certificate and Vault identity.
 * Whatever can be known before is checked before the token is redeemed, because it works once. With both, the token decides.
 */
export async function enrolNode(
  payload: unknown,
  options: EnrolmentOptions,
  shown?: ShownCertificate,
): Promise<EnrolmentAnswer> {
  const { ledger, vault, counters, log, template } = options
  const refuse = (status: Refusal, error: string, node?: string): EnrolmentAnswer => {
    counters.add('enrolment_refused')
    log.warn({ node, status, reason: error }, 'an enrolment was refused')
    return { status, error }
  }

  const parsed = EnrolRequest.safeParse(payload)
  if (!parsed.success) return refuse(400, 'the request is not an enrolment')
  const { node, joinToken, csr } = parsed.data
  let identity: NodeIdentity | undefined
  if (joinToken === undefined) {
    if (!template) return refuse(403, 'this fleet takes join tokens alone (FLEET_SVID_ID is not set)', node)
    if (!shown) return refuse(403, 'there is neither a join token nor a certificate', node)
    const read = readSvid(shown, template)
    if ('fault' in read) return refuse(read.untrusted ? 401 : 403, read.fault, node)
    if (read.identity.node !== node) return refuse(403, 'the certificate is of another node', node)
    identity = read.identity
  }
  const fault = await requestFault(csr, node)
  if (fault !== undefined) return refuse(400, fault, node)
  try {
    await vault.lookupSelf({ signal: AbortSignal.timeout(5_000) })
  } catch {
    return refuse(503, 'Vault is not available', node)
  }

  let joined: JoinedNode | undefined
  try {
    joined = identity
      ? await ledger.joinByIdentity(identity)
      : await ledger.redeemJoinToken(node, joinToken ?? '')
  } catch (error) {
    if (RekeyError.is(error) && (error.code === 'not_found' || error.code === 'not_allowed_now'))
      return refuse(403, error.message, node)
    return refuse(503, 'the ledger is not available', node)
  }
  if (!joined || joined.node !== node) return refuse(403, 'the join token is not good for this node', node)

  try {
    const signal = AbortSignal.timeout(20_000)
    const spiffeId = spiffeIdOf(node)
    const [signed, { roleId, wrappedSecretId }] = await Promise.all([
      signNode(vault, node, csr, signal),
      newIdentity(vault, node, joined.credentials, signal),
    ])
    counters.add('enrolled')
    const { serial, ...certificate } = signed
    log.info({ node, workload: joined.workload, serial, svid: identity?.svid }, 'a node was enrolled')
    return {
      status: 200,
      body: {
        spiffeId,
        ...certificate,
        vault: { roleId, wrappedSecretId: wrappedSecretId.reveal() },
      },
    }
  } catch (error) {
    const why = RekeyError.is(error) ? error.message : 'unexpected failure'
    return refuse(502, `${identity ? '' : 'the token is used up, but '}Vault failed: ${why}`, node)
  }
}

/** With the old role end the secret ids that a former life of the node was given. */
async function newIdentity(
  vault: VaultClient,
  node: string,
  reads: JoinedNode['credentials'],
  signal: AbortSignal,
): ReturnType<typeof enrolNodeIdentity> {
  await retireNodeIdentity(vault, { node }, { signal })
  return await enrolNodeIdentity(vault, { node, reads }, { signal })
}

/** Another certificate for a node whose present one was checked by the handshake, and its session by the ledger. */
export async function renewNode(
  node: string,
  csr: string,
  options: Pick<EnrolmentOptions, 'vault' | 'counters' | 'log'>,
): Promise<Omit<NodeCertificate, 'serial'> | undefined> {
  const { vault, counters, log } = options
  const fault = await requestFault(csr, node)
  if (fault !== undefined) {
    counters.add('enrolment_refused')
    log.warn({ node, reason: fault }, 'a renewal was refused')
    return undefined
  }
  try {
    const { serial, ...certificate } = await signNode(vault, node, csr, AbortSignal.timeout(20_000))
    counters.add('renewed')
    log.info({ node, serial, expiresAt: certificate.expiresAt }, 'a certificate of a node was renewed')
    return certificate
  } catch (error) {
    log.warn({ node, error }, 'a certificate of a node could not be renewed')
    return undefined
  }
}

type NodeCertificate = { certificate: string; authorities: string; expiresAt: string; serial: string }

async function signNode(
  vault: Pick<VaultClient, 'pkiSign'>,
  node: string,
  csr: string,
  signal: AbortSignal,
): Promise<NodeCertificate> {
  const signed = await vault.pkiSign(NODE_ROLE, csr, { uriSans: [spiffeIdOf(node)], signal })
  return {
    certificate: signed.certificate,
    authorities: signed.caChain.map((pem) => `${pem.trim()}\n`).join(''),
    expiresAt: new Date(signed.expiresAt).toISOString(),
    serial: signed.serial,
  }
}
