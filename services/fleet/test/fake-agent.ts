import { type Ack, type DesiredState, FleetToAgent, type Secret, signStatement } from '@rekey/contracts'
import WebSocket from 'ws'
import type { Issued } from './test-authority.ts'
import { until } from './until.ts'

type Desired = Extract<FleetToAgent, { type: 'desired' }>

/** The agents' side of the channel, that can also say what no agent would. */
export class FakeAgent {
  readonly node: string
  readonly boot = 'boot-1'
  readonly messages: FleetToAgent[] = []
  readonly socket: WebSocket
  closeCode: number | undefined
  closeReason: string | undefined
  failure: string | undefined

  constructor(port: number, node: string, identity: Issued, ca: string, answersPings = true) {
    this.node = node
    this.socket = new WebSocket(`wss://localhost:${port}`, { ...identity, ca, autoPong: answersPings })
    this.socket.on('message', (data) => this.messages.push(FleetToAgent.parse(JSON.parse(data.toString()))))
    this.socket.on('close', (code, reason) => {
      this.closeCode = code
      this.closeReason = reason.toString()
    })
    this.socket.on('error', (error) => {
      this.failure = error.message
    })
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  async hello(adapters: object[] = []): Promise<number> {
    await until('the socket is open', () => this.socket.readyState === WebSocket.OPEN)
    this.say({ type: 'hello', boot: this.boot, agentVersion: '0', adapters })
    return until('welcome', () => this.session || undefined)
  }

  get session(): number {
    return this.messages.find((m) => m.type === 'welcome')?.session ?? 0
  }

  /** Which generations it was told are dead, each time. */
  get dead(): number[][] {
    return this.messages.flatMap((m) => (m.type === 'dead' ? [m.generations] : []))
  }

  /** The desired state that was sent last for a credential, once it has this revision. */
  desired(revision: number): Promise<Desired> {
    return until(`desired state ${revision}`, () =>
      this.messages.findLast((m): m is Desired => m.type === 'desired' && m.state.revision === revision),
    )
  }

  ack({ nonce, state }: Desired, value: (generation: number) => Secret, more: Partial<Ack> = {}): Ack {
    const { session, boot } = this
    return {
      type: 'ack',
      credential: state.credential,
      revision: state.revision,
      session,
      nonce,
      proofs: state.accept.map(({ generation }) => ({
        generation,
        tried: 'accepted',
        signature: signStatement(value(generation), {
          credential: state.credential,
          generation,
          revision: state.revision,
          node: `spiffe://rekey.local/node/${this.node}`,
          session,
          boot,
          nonce,
        }),
      })),
      refusals: [],
      ...more,
    }
  }

  close(): void {
    this.socket.terminate()
  }
}

export function stateOf(revision: number, accept: number[], more: Partial<DesiredState> = {}): DesiredState {
  return {
    credential: 'chat',
    revision,
    accept: accept.map((generation) => ({ generation, keyId: `chat.g${generation}` })),
    refuse: [],
    floor: 1,
    store: { kind: 'vault-kv', mount: 'secret', path: 'chat' },
    ...more,
  }
}
