import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { RekeyError } from '@rekey/contracts/errors'
import type { Secret } from '@rekey/contracts/secret'
import type {
  ApprovalView,
  CredentialView,
  DriftLookView,
  DriftView,
  InventoryScanView,
  JournalEntry,
  RecoveryView,
  Released,
  RotationDetail,
  RotationView,
  SettlementOrdered,
  WhoAnswer,
} from '@rekey/ledger'
import { Complaint } from './complaint.ts'
import type {
  ConfigurationAnswer,
  ExcusedAnswer,
  JudgedVerdict,
  JudgementAnswer,
  NodeAnswer,
  RuleAnswer,
  Started,
  WorkloadAnswer,
} from './control-answers.ts'
import { ControlError, toControlError } from './control-error.ts'
import type { Sent } from './https.ts'
import { parseEvents } from './sse.ts'
import type { ClientTls } from './tls-files.ts'
import { unreachable } from './unreachable.ts'

export type Watched =
  | { type: 'entry'; entry: JournalEntry }
  | { type: 'end'; outcome: string; exceptions: string[] }

export type ControlOptions = {
  url: string
  /** A function is asked for each request: tokens expire, and whoever renews them writes the file anew. */
  token?: Secret | (() => Secret)
  /** Over https: whom to believe, and a certificate to show. A function is asked for each request, as for the token. */
  tls?: ClientTls | (() => ClientTls)
  /** Who gives orders, recorded as `operator/<actor>`. Of no meaning with a token that says itself who it is. */
  actor?: string
  /** The longest wait for one answer. */
  timeoutMs?: number
  /** A watch that hears nothing for so long, not even a heartbeat, is begun again. */
  silenceMs?: number
}

/** Why an order is given: a reason, and what else is to be kept with it. */
export type Why =
  | string
  | {
      reason: string
      /** Where people speak about it. */
      ticket?: string
      /** The same order under the same key is carried out once, whoever repeats it; by default one of its own. */
      idempotencyKey?: string
    }

/** How often an order is sent whose answer is lost. */
const ORDER_TRIES = 3

/** Breaks of a watch in a row, after which it is given up. */
const BREAKS_MAX = 8

/** The API of control. Every failure is a `Complaint` that says what to do. */
export class ControlClient {
  readonly #options: ControlOptions & Required<Pick<ControlOptions, 'timeoutMs' | 'silenceMs'>>
  readonly #base: URL

  constructor(options: ControlOptions) {
    this.#options = { timeoutMs: 35_000, silenceMs: 45_000, ...options }
    this.#base = baseOf(options.url)
    if (options.tls && this.#base.protocol === 'http:')
      throw new Complaint(
        'bad_usage',
        `${this.#base.href} is not https, and knows no certificates`,
        'Give --url or REKEY_URL as https://host:port, or unset REKEY_CA_FILE, REKEY_CERT_FILE and REKEY_KEY_FILE.',
      )
  }

  configure(documents: unknown[], apply: boolean): Promise<ConfigurationAnswer> {
    return this.#post('configuration', { documents, apply })
  }
  credentials(): Promise<CredentialView[]> {
    return this.#get('credentials')
  }
  credential(name: string): Promise<CredentialView> {
    return this.#get(`credentials/${encodeURIComponent(name)}`)
  }
  rotations(filter: { credential?: string; limit?: number } = {}): Promise<RotationView[]> {
    const query = new URLSearchParams()
    if (filter.credential !== undefined) query.set('credential', filter.credential)
    if (filter.limit !== undefined) query.set('limit', String(filter.limit))
    return this.#get(`rotations?${query}`)
  }
  rotation(id: string): Promise<RotationDetail> {
    return this.#get(`rotations/${encodeURIComponent(id)}`)
  }
  journal(id: string, after = 0): Promise<JournalEntry[]> {
    return this.#get(`rotations/${encodeURIComponent(id)}/journal?after=${after}`)
  }
  rotate(credential: string, why: Why): Promise<Started> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/rotate`, why)
  }
  /** Takes over the value that the stores hold already. */
  adopt(credential: string, why: Why): Promise<Started> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/adopt`, why)
  }
  /** Asks a rotator to list what the backends hold; who asks meanwhile gets the same scan. */
  scanInventory(): Promise<InventoryScanView> {
    return this.#post('inventory/scans', {})
  }
  inventoryScan(id: number): Promise<InventoryScanView> {
    return this.#get(`inventory/scans/${id}`)
  }
  /** What stores show that Rekey did not write. */
  drift(): Promise<DriftView[]> {
    return this.#get('drift')
  }
  driftOf(credential: string): Promise<DriftLookView> {
    return this.#get(`credentials/${encodeURIComponent(credential)}/drift`)
  }
  /** Asks a rotator to look at a credential's stores now. */
  lookForDrift(credential: string): Promise<{ asked: number }> {
    return this.#post(`credentials/${encodeURIComponent(credential)}/drift/look`, {})
  }
  /** By a rotation that replaces what each store was seen to show. */
  settleDrift(credential: string, why: Why, seen: Record<string, string | null>): Promise<SettlementOrdered> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/drift/settle`, why, { seen })
  }
  /** It leaked, and must go on serving. Without `generations`: the one in use. */
  expedite(credential: string, why: Why, generations?: number[]): Promise<Started> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/expedite`, why, { generations })
  }
  /** It leaked, and must stop working now, whoever still uses it. Without `generations`: the one in use. */
  contain(credential: string, why: Why, generations?: number[]): Promise<Started> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/contain`, why, { generations })
  }
  /** Offboards: the value in use ends, and none follows. */
  retire(credential: string, why: Why): Promise<Started> {
    return this.#order(`credentials/${encodeURIComponent(credential)}/retire`, why)
  }
  rollback(rotation: string, why: Why): Promise<RotationView> {
    return this.#order(`rotations/${encodeURIComponent(rotation)}/rollback`, why)
  }
  /** Stops every step of a routine rotation until it is resumed. */
  hold(rotation: string, why: Why): Promise<RotationView> {
    return this.#order(`rotations/${encodeURIComponent(rotation)}/hold`, why)
  }
  resume(rotation: string, why: Why): Promise<RotationView> {
    return this.#order(`rotations/${encodeURIComponent(rotation)}/resume`, why)
  }
  /** Undefined: it was not judged so far. */
  async verdict(id: string, source: string): Promise<JudgedVerdict | undefined> {
    const query = new URLSearchParams({ source })
    try {
      return await this.#get(`verdicts/${encodeURIComponent(id)}?${query}`)
    } catch (error) {
      if (error instanceof ControlError && error.code === 'not_found') return undefined
      throw error
    }
  }
  /** Whose are these strings? Takes digests, never the strings. */
  who(digests: string[]): Promise<WhoAnswer> {
    return this.#post('who', { digests })
  }
  rules(): Promise<RuleAnswer[]> {
    return this.#get('rules')
  }
  workloads(): Promise<WorkloadAnswer[]> {
    return this.#get('workloads')
  }
  /** What an event would do now, without doing it. */
  testRules(event: unknown): Promise<JudgementAnswer> {
    return this.#post('rules/test', { event })
  }
  nodes(): Promise<NodeAnswer[]> {
    return this.#get('nodes')
  }
  createNodeToken(
    node: string,
    workload: string,
    ttlMs: number,
  ): Promise<{ token: string; expiresAt: string }> {
    return this.#post(`nodes/${encodeURIComponent(node)}/token`, { workload, ttlMs })
  }
  declareGone(node: string, why: Why): Promise<{ node: string; state: 'gone' }> {
    return this.#order(`nodes/${encodeURIComponent(node)}/gone`, why)
  }
  /** For a while nothing waits for this node's proof. Without `credential`: of all that it holds. */
  excuse(node: string, why: Why, about: { credential?: string; forMs: number }): Promise<ExcusedAnswer> {
    return this.#order(`nodes/${encodeURIComponent(node)}/excuse`, why, about)
  }
  /** No routine rotation goes on for a while. Without `credential`: of any. */
  pause(
    credential: string | undefined,
    why: Why,
    forMs: number,
  ): Promise<{ credentials: string[]; until: string }> {
    return this.#order(`${scopeOf(credential)}pause`, why, { forMs })
  }
  endPause(credential: string | undefined, why: Why): Promise<{ credentials: string[] }> {
    return this.#order(`${scopeOf(credential)}pause/end`, why)
  }
  /** Orders that need, or had, the agreement of a second person; newest first. */
  approvals(): Promise<ApprovalView[]> {
    return this.#get('approvals')
  }
  approval(id: string): Promise<ApprovalView> {
    return this.#get(`approvals/${encodeURIComponent(id)}`)
  }
  approve(id: string, why: Exclude<Why, string>): Promise<ApprovalView> {
    const { reason, ticket } = why
    return this.#post(`approvals/${encodeURIComponent(id)}/approve`, { reason, ...(ticket && { ticket }) })
  }
  /** An older backup was restored: everything is held. */
  recover(reason: string): Promise<RecoveryView> {
    return this.#post('recovery', { reason })
  }
  recovery(): Promise<RecoveryView> {
    return this.#get('recovery')
  }
  release(credential: string, how: { generation?: number; ended?: true }): Promise<Released> {
    return this.#post(`recovery/${encodeURIComponent(credential)}/release`, how)
  }
  version(): Promise<{ version: string; api: string }> {
    return this.#get('version')
  }

  /**
   * The journal of a rotation from its beginning (or after a position), as it grows, and its end. A break is healed by
   * going on after the last entry that came. Ends silently when `signal` does.
   */
  async *watch(
    rotation: string,
    options: { signal?: AbortSignal; after?: number } = {},
  ): AsyncGenerator<Watched> {
    const { signal } = options
    let after = options.after ?? 0
    let breaks = 0
    while (!signal?.aborted) {
      try {
        for await (const watched of this.#watchOnce(rotation, after, signal)) {
          breaks = 0
          if (watched.type === 'entry') after = watched.entry.position
          yield watched
          if (watched.type === 'end') return
        }
      } catch (error) {
        if (signal?.aborted) return
        if (!isPassing(error) || breaks >= BREAKS_MAX) throw error
      }
      breaks++
      await delay(Math.min(5_000, 100 * 2 ** breaks), undefined, signal ? { signal } : {}).catch(
        () => undefined,
      )
    }
  }

  async *#watchOnce(
    rotation: string,
    after: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Watched> {
    const quiet = new AbortController()
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(() => quiet.abort(), this.#options.silenceMs)
    }
    let timer = setTimeout(() => quiet.abort(), this.#options.silenceMs)
    const path = `rotations/${encodeURIComponent(rotation)}/watch?after=${after}`
    const ended = signal ? AbortSignal.any([signal, quiet.signal]) : quiet.signal
    try {
      const response = await this.#fetch(path, { signal: ended })
      for await (const { event, data } of parseEvents(textOf(response, heard))) {
        const json = JSON.parse(data)
        if (event === 'journal') yield { type: 'entry', entry: json }
        else if (event === 'end') yield { type: 'end', ...json }
      }
    } finally {
      clearTimeout(timer)
      quiet.abort()
    }
  }

  #get<T>(path: string): Promise<T> {
    return this.#json(path, {})
  }

  /** Given under a key, so that it may be sent again where the answer was lost. */
  async #order<T>(path: string, why: Why, what: Record<string, unknown> = {}): Promise<T> {
    const { idempotencyKey = randomUUID(), ...said } = typeof why === 'string' ? { reason: why } : why
    for (let tries = 1; ; tries++) {
      try {
        return await this.#post(path, { ...what, ...said }, { 'idempotency-key': idempotencyKey })
      } catch (error) {
        if (tries >= ORDER_TRIES || !isPassing(error)) throw error
        await delay(100 * 2 ** tries)
      }
    }
  }

  #post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    return this.#json(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { ...headers, 'content-type': 'application/json' },
    })
  }

  async #json<T>(path: string, init: Init): Promise<T> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    const response = await this.#fetch(path, { ...init, signal })
    const body = await readJson(response)
    if (body === undefined) throw toControlError(response.status, this.#base.href, undefined)
    return body as T
  }

  async #fetch(path: string, init: Init): Promise<Response> {
    const { actor } = this.#options
    const token = now(this.#options.token)
    const tls = now(this.#options.tls)
    const headers = {
      ...init.headers,
      ...(token && { authorization: `Bearer ${token.reveal()}` }),
      ...(actor !== undefined && { 'x-rekey-actor': actor }),
    }
    const response = await this.#send(new URL(`v1/${path}`, this.#base), { ...init, headers }, tls)
    if (response.ok) return response
    const shown = token ? undefined : tls?.identity?.about
    throw toControlError(response.status, this.#base.href, await readJson(response), shown)
  }

  async #send(url: URL, sent: Sent, tls: ClientTls | undefined): Promise<Response> {
    // Loaded here: most need it never.
    const overTls = tls && (await import('./https.ts')).fetchOverTls
    try {
      // The token must not follow a redirection to somewhere else.
      return await (overTls ? overTls(url, sent, tls) : fetch(url, { ...sent, redirect: 'manual' }))
    } catch (error) {
      throw unreachable(this.#base, error)
    }
  }
}

type Init = Omit<Sent, 'headers'> & { headers?: Record<string, string> }

function now<T extends object>(given: T | (() => T) | undefined): T | undefined {
  return typeof given === 'function' ? given() : given
}

function scopeOf(credential: string | undefined): string {
  return credential === undefined ? '' : `credentials/${encodeURIComponent(credential)}/`
}

function baseOf(text: string): URL {
  const url = URL.parse(text.endsWith('/') ? text : `${text}/`)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new Complaint(
    'bad_usage',
    `"${text}" is not the address of control`,
    'Give --url or REKEY_URL as http://host:port.',
  )
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return undefined
  }
}

async function* textOf(response: Response, heard: () => void): AsyncGenerator<string> {
  if (!response.body) return
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    heard()
    yield piece
  }
}

/** A break of the connection, or a control that is starting again; not a refusal. */
function isPassing(error: unknown): boolean {
  if (error instanceof ControlError) return error.status >= 500
  if (error instanceof Complaint) return error.code === 'backend_unavailable'
  return !RekeyError.is(error)
}
