import type { NodeSession } from './node-session.ts'

/** The nodes that are connected to this instance: at most one session for each. */
export class Sessions {
  readonly #byNode = new Map<string, NodeSession>()

  /** Takes a session in and closes an older one of its node. False: a newer one is here, and stays. */
  enter(session: NodeSession): boolean {
    const other = this.#byNode.get(session.node)
    if (other && other.session > session.session) return false
    this.#byNode.set(session.node, session)
    if (other && other !== session) other.close(4001, 'a newer session was opened')
    return true
  }

  leave(session: NodeSession): void {
    if (this.#byNode.get(session.node) === session) this.#byNode.delete(session.node)
  }

  get(node: string): NodeSession | undefined {
    return this.#byNode.get(node)
  }

  all(): NodeSession[] {
    return [...this.#byNode.values()]
  }

  get size(): number {
    return this.#byNode.size
  }
}
