import { migrate } from '@rekey/ledger'
import pg from 'pg'
import type { Servers } from '../servers.ts'
import { percentile } from '../statistics.ts'
import { commitsOf, type Recording } from './recording.ts'

export type Replayed = { perS: number; commitsPerS: number; p50: number; p99: number }

/**
 * The floor of a rotation: what it has to write, written again under other names by a client that does nothing else.
 * Each lane is one connection with prepared statements; positions come from the client, so nobody waits for a counter.
 */
export class Replay {
  readonly #recording: Recording
  readonly #lanes: Lane[]

  private constructor(recording: Recording, lanes: Lane[]) {
    this.#recording = recording
    this.#lanes = lanes
  }

  static async open(servers: Servers, recording: Recording, lanes: number): Promise<Replay> {
    const url = await servers.createDatabase()
    await migrate(url)
    const opened: Lane[] = []
    for (let i = 0; i < lanes; i++) opened.push(await Lane.open(url, i, recording))
    return new Replay(recording, opened)
  }

  /** So many rotations, each lane one after the other. */
  async run(rotations: number): Promise<Replayed> {
    let left = rotations
    const times: number[] = []
    const startedAt = performance.now()
    await Promise.all(
      this.#lanes.map(async (lane) => {
        while (left-- > 0) {
          const beganAt = performance.now()
          await lane.rotate(this.#recording)
          times.push(performance.now() - beganAt)
        }
      }),
    )
    const perS = rotations / ((performance.now() - startedAt) / 1_000)
    return {
      perS,
      commitsPerS: perS * commitsOf(this.#recording),
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()))
  }
}

let position = 0
let number = 0

class Lane {
  readonly #client: pg.Client
  readonly #credential: string
  readonly #nodes: string[]

  private constructor(client: pg.Client, credential: string, nodes: string[]) {
    this.#client = client
    this.#credential = credential
    this.#nodes = nodes
  }

  static async open(url: string, index: number, { nodes }: Recording): Promise<Lane> {
    const client = new pg.Client({ connectionString: url })
    // What a lost connection means is said by the next query.
    client.on('error', () => undefined)
    await client.connect()
    const credential = `key-${index}`
    const own = nodes.map((_, n) => `node-${index}-${n}`)
    await client.query(
      `with w as (insert into workload (name, spec, known) values ($1, '{}', '{}') returning name),
            c as (insert into credential (name, workload, purpose, spec) select $1, name, 'api-key', '{}' from w returning name),
            g as (insert into generation (credential, generation, validity, key_id) select name, 1, 'active', name from c),
            n as (insert into node (name, workload) select node, w.name from w, unnest($2::text[]) as node returning name)
       insert into placement (node, credential, revision, accept, refuse, floor) select n.name, c.name, 0, '{}', '{}', 1 from n, c`,
      [credential, own],
    )
    return new Lane(client, credential, own)
  }

  async rotate(recording: Recording): Promise<void> {
    const id = `bare-${++number}`
    const rename = (key: string) => `${id}.${key}`
    const { steps, leased, waves, records } = recording
    let seq = 0
    const positions: number[] = []
    for (const [at, step] of steps.entries()) {
      await this.#client.query('begin')
      if (at === 0) await this.#open(id)
      if (step.entries.length > 0) {
        const from = position
        position += step.entries.length
        for (let p = from + 1; p <= position; p++) positions.push(p)
        await this.#write(
          'journal',
          `insert into journal (position, stream, seq, type, data, actor)
           select $1 + n, $2, $3 + n, entry ->> 'type', entry -> 'data', entry ->> 'actor'
           from jsonb_array_elements($4::jsonb) with ordinality as item (entry, n)`,
          [from, `rotation/${id}`, seq, JSON.stringify(step.entries)],
        )
        seq += step.entries.length
      }
      if (step.wanted.length > 0)
        await this.#write(
          'wanted',
          `insert into effect (key, rotation, kind, epoch, spec, due)
           select key, $1, kind, 0, spec, now() from jsonb_to_recordset($2::jsonb) as e (key text, kind text, spec jsonb)`,
          [id, JSON.stringify(step.wanted.map((e) => ({ ...e, key: rename(e.key) })))],
        )
      if (step.settled.length > 0)
        await this.#write(
          'settled',
          "update effect set state = 'done', done_at = now() where key = any($1)",
          [step.settled.map(rename)],
        )
      if (step.state) {
        await this.#write('state', 'update rotation set state = $2 where id = $1', [
          id,
          JSON.stringify(step.state),
        ])
        await this.#write('credential', 'update credential set revision = $2 where name = $1', [
          this.#credential,
          at,
        ])
        await this.#write('generation', 'update generation set store_versions = $2 where credential = $1', [
          this.#credential,
          JSON.stringify({ at: String(at) }),
        ])
      }
      await this.#client.query('commit')
    }
    for (const key of leased)
      await this.#write(
        'lease',
        "update effect set attempt = attempt + 1, lease_by = 'bare', lease_until = now() where key = $1",
        [rename(key)],
      )
    // Proofs of each wave, and one report of counters.
    for (let wave = 0; wave <= waves; wave++)
      await this.#write(
        'proved',
        'update placement set proved_revision = $2, proved_at = now() where node = any($1)',
        [this.#nodes, wave],
      )
    if (records.length > 0) await this.#audit(records, positions)
  }

  async close(): Promise<void> {
    await this.#client.end()
  }

  async #open(id: string): Promise<void> {
    await this.#write(
      'open',
      "insert into rotation (id, credential, state, spec) values ($1, $2, '{}', (select spec from credential where name = $2))",
      [id, this.#credential],
    )
    await this.#write(
      'inbox',
      "insert into inbox (source, id, digest, emitter, verdict) values ('bare', $1, $1, 'bare', '{}')",
      [id],
    )
    await this.#write('known', 'update workload set known = $2 where name = $1', [
      this.#credential,
      JSON.stringify({ zone: id }),
    ])
  }

  async #audit(records: object[], positions: number[]): Promise<void> {
    await this.#write(
      'records',
      `insert into audit_out (position, sequence, key, bytes, hash)
       select position, position, record ->> 'key', record ->> 'bytes', record ->> 'hash'
       from rows from (unnest($1::bigint[]), jsonb_array_elements($2::jsonb)) as r (position, record)`,
      [positions, JSON.stringify(records)],
    )
    await this.#write('sent', 'update audit_out set sent_at = now() where position = any($1)', [positions])
  }

  #write(name: string, text: string, values: unknown[]): Promise<unknown> {
    return this.#client.query({ name, text, values })
  }
}
