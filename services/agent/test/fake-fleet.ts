import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  type Ack,
  AgentToFleet,
  type DesiredState,
  EnrolRequest,
  type FleetToAgent,
  proofPublicKey,
  type Secret,
  verifyStatement,
} from '@rekey/contracts'
import { type WebSocket, WebSocketServer } from 'ws'
import { testAuthority } from './test-authority.ts'

/**
 * The fleet's side in this process, for tests of the agent alone: join tokens that work once, sessions with growing
 * numbers, one desired state that is sent at each connect, and acks whose proofs are checked.
 */
export async function startFakeFleet(options: { node: string; valueOf: (generation: number) => Secret }) {
  const authority = await testAuthority()
  const tls = await authority.server()
  const tokens = new Set<string>()
  const messages: AgentToFleet[] = []
  const acks: Ack[] = []
  const hooks = { beforeEnrolAnswer: async () => {}, onMessage: (_message: AgentToFleet) => {} }
  const spiffeId = `spiffe://rekey.local/node/${options.node}`
  let order: DesiredState | undefined
  let socket: WebSocket | undefined
  let session = 0
  let nonce = 0
  let boot = ''
  let isMute = false
  let validity: { notBefore?: Date; notAfter?: Date } = {}

  /** How a certificate in the handshake is answered: as one of this node, unless a test says otherwise. */
  const svids = {
    enrolled: 0,
    refusal: (
      uri: string | undefined,
      isTrusted: boolean,
    ): { status: number; error?: string } | undefined => {
      if (uri === undefined) return { status: 403, error: 'there is neither a join token nor a certificate' }
      return isTrusted ? undefined : { status: 401, error: 'the certificate is not trusted' }
    },
  }

  const send = (message: FleetToAgent) => socket?.send(JSON.stringify(message))
  const tell = () => {
    nonce += 1
    if (order && socket) send({ type: 'desired', nonce: `nonce-${nonce}`, state: order })
  }

  const asking = { requestCert: true, rejectUnauthorized: false, ca: authority.ca }
  const enrolment = createServer({ ...tls, ...asking }, async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const { joinToken, csr } = EnrolRequest.parse(JSON.parse(text))
    const uri = (request.socket as TLSSocket).getPeerCertificate().subjectaltname
    const refusal =
      joinToken === undefined
        ? svids.refusal(uri, (request.socket as TLSSocket).authorized)
        : tokens.delete(joinToken)
          ? undefined
          : { status: 403, error: 'no' }
    if (refusal) {
      response.writeHead(refusal.status).end(JSON.stringify({ error: refusal.error }))
      return
    }
    const signed = await authority.sign(csr, validity)
    await hooks.beforeEnrolAnswer()
    svids.enrolled += joinToken === undefined ? 1 : 0
    const wrappedSecretId = `wrapped-${joinToken ?? `svid-${svids.enrolled}`}`
    const vault = { roleId: 'role', wrappedSecretId }
    response.end(JSON.stringify({ spiffeId, ...signed, authorities: authority.ca, vault }))
  })

  const channel = createServer({ ...tls, ca: authority.ca, requestCert: true, rejectUnauthorized: true })
  const sockets = new WebSocketServer({ server: channel })
  sockets.on('connection', (opened) => {
    socket = opened
    opened.on('message', async (data) => {
      const message = AgentToFleet.parse(JSON.parse(data.toString()))
      if (isMute) return
      messages.push(message)
      hooks.onMessage(message)
      if (message.type === 'hello') {
        session += 1
        boot = message.boot
        send({ type: 'welcome', session, node: options.node, heartbeatMs: 5_000 })
        tell()
      }
      if (message.type === 'ack' && proves(message)) acks.push(message)
      if (message.type === 'renew') {
        send({ type: 'renewed', ...(await authority.sign(message.csr)), authorities: authority.ca })
      }
    })
  })

  function proves(ack: Ack): boolean {
    return ack.proofs.every(({ generation, signature }) => {
      const { credential, revision, nonce: quoted } = ack
      const key = proofPublicKey(options.valueOf(generation), credential, generation)
      const statement = { credential, generation, revision, node: spiffeId, session, boot, nonce: quoted }
      return ack.session === session && verifyStatement(key, statement, signature)
    })
  }

  enrolment.listen(0, '127.0.0.1')
  channel.listen(0, '127.0.0.1')
  await Promise.all([once(enrolment, 'listening'), once(channel, 'listening')])
  const portOf = (server: typeof channel) => (server.address() as AddressInfo).port
  return {
    ca: authority.ca,
    url: `wss://localhost:${portOf(channel)}`,
    enrolUrl: `https://localhost:${portOf(enrolment)}`,
    messages,
    acks,
    hooks,
    svids,
    /** What SPIRE would issue. */
    svid: (validity?: { notBefore?: Date; notAfter?: Date }) =>
      authority.client(`spiffe://test.example/rekey/chat/${options.node}`, validity),
    allowToken: (token: string) => tokens.add(token),
    certificatesValid: (next: typeof validity) => {
      validity = next
    },
    order(state: DesiredState) {
      order = state
      tell()
    },
    /** Says which generations are proved dead. */
    dead: (generations: number[]) => send({ type: 'dead', credential: 'chat', generations }),
    drop: () => socket?.terminate(),
    mute(mute: boolean) {
      isMute = mute
    },
    async stop() {
      for (const client of sockets.clients) client.terminate()
      sockets.close()
      channel.close()
      enrolment.close()
      enrolment.closeAllConnections()
    },
  }
}

export type FakeFleet = Awaited<ReturnType<typeof startFakeFleet>>
