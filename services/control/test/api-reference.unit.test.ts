import { ERRORS, Secret } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import { createLogger } from '@rekey/runtime'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { buildControl } from '../src/control.ts'

const logger = createLogger({ service: 'control' })
logger.level = 'silent'
const ledger = { onJournal: () => ({ close: async () => undefined }) } as unknown as Ledger

const registered: string[] = []
const app = await buildControl({ ledger, token: Secret.of('a-token-that-only-tests-know'), logger })
await app.ready()
const above: string[] = []
for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
  const [, indent, part, methods] = /^(.*)[├└]── (\S+)(?: \((.*)\))?$/.exec(line) ?? []
  if (indent === undefined || part === undefined) continue
  above.splice(indent.length / 4, Number.POSITIVE_INFINITY, part)
  for (const method of methods?.split(', ') ?? [])
    if (method !== 'HEAD') registered.push(`${method} ${above.join('')}`)
}

type Operation = {
  summary?: string
  security?: unknown
  requestBody?: unknown
  responses: object
  tags?: string[]
}
const document: { paths: Record<string, Record<string, Operation>> } = (
  await app.inject({ url: '/openapi.json' })
).json()
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    route: `${method.toUpperCase()} ${path}`,
    operation,
  })),
)

test('the OpenAPI document is valid', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

test('it covers every route, each with a summary, and with the token where one is needed', () => {
  const shown = operations.map(({ route }) => route.replaceAll(/\{(\w+)\}/g, ':$1'))
  expect(shown.toSorted()).toEqual(registered.toSorted())
  expect(shown.length).toBeGreaterThan(20)
  for (const { route, operation } of operations) {
    expect(operation.summary, route).toBeTruthy()
    expect(operation.security !== undefined, route).toBe(route.includes(' /v1/'))
  }
})

test('docs/reference/api.md is up to date (vitest -u writes it)', async () => {
  const rows = operations
    .filter(({ route }) => route.includes(' /v1/'))
    .map(({ route, operation }) => `| \`${route}\` | ${operation.summary} |`)
  const open = operations
    .filter(({ route }) => !route.includes(' /v1/'))
    .map(({ route, operation }) => `| \`${route}\` | ${operation.summary} |`)
  const errors = Object.entries(ERRORS).map(([code, { remedy }]) => `| \`${code}\` | ${remedy} |`)
  const text = [
    '# The API of control',
    '',
    '<!-- Written by services/control/test/api-reference.unit.test.ts. Change the routes, then run vitest with -u. -->',
    '',
    'Everything that people and pipelines ask of Rekey goes over this API; the command line `rekey` speaks it.',
    'The running service describes it in full, with every field, at `GET /openapi.json`.',
    '',
    '```sh',
    'curl -H "authorization: Bearer $(cat control-token)" http://127.0.0.1:7400/v1/credentials',
    '```',
    '',
    '## Who may ask',
    '',
    'Routes under `/v1` want the token of `CONTROL_TOKEN_FILE` as a bearer token. Orders also want `x-rekey-actor`, which is',
    'recorded as `operator/<name>`. **That name is believed as it is told**: whoever has the token may act for everybody.',
    'Identity by OIDC or client certificates comes later; until then keep control on loopback, or behind a proxy that knows',
    'its users and sets that header. Control speaks plain HTTP: anything but loopback needs a proxy that ends TLS.',
    '',
    '## Routes',
    '',
    '| Route | What it does |',
    '| --- | --- |',
    ...rows,
    '',
    'Without a token:',
    '',
    '| Route | What it does |',
    '| --- | --- |',
    ...open,
    '',
    'A watch is a stream of server-sent events: `journal` holds one journal entry, with its position as `id`; `end` holds the',
    'outcome, and the stream ends. After a break, `last-event-id` goes on where it broke.',
    '',
    '## Orders',
    '',
    'An order says `reason`, which is kept for good. One about a credential is answered with the rotation that serves it, and',
    '`how`: `opened`, `joined` (it serves this order too, or is taken over by it), or `queued` (exactly one more follows it).',
    'What cannot be done as things stand is a 409 `not_allowed_now` with the reason in `detail`, and changes nothing.',
    '',
    'A `ticket` is kept with the reason. The header `idempotency-key` (up to 128 visible ASCII characters) makes a repeat safe: for',
    'seven days the same order under the same key is carried out once, whoever sends it and however they word it, and each repeat gets',
    'the first answer. The key with another order is a 409 `conflict`. What was refused was not given, and is judged again.',
    '',
    '| Order | For | Its `generations` |',
    '| --- | --- | --- |',
    '| `rotate` | a routine: windows, waves, evidence, the audit acknowledgement | |',
    '| `expedite` | it leaked, and must go on serving: no windows, a canary and then everybody, the drain cut after `expediteDrainMs` | which leaked; else the one in use |',
    '| `contain` | it leaked, and must stop working now: revoked at once, while its successor is made. Requests with it fail until clients have the next one | which leaked; else the one in use |',
    '| `retire` | offboarding: the value ends as in a routine, and none follows | |',
    '',
    '[The rules of a rotation](rotation.md) say what each of them waits for.',
    '',
    '**A repeat is not recognised as one**: there is no idempotency key. After a lost answer, look before you order again',
    '(`GET /v1/credentials/{name}` has `openRotation`). A second `rotate` joins the first until its value is being made, and is',
    'followed by one more rotation after that. A second `retire` joins, or is refused. Give `generations` with `expedite` and',
    '`contain`: then a repeat joins, or is refused once that generation is out of use, and never means the next value.',
    '',
    '## Errors',
    '',
    'Errors are `application/problem+json` (RFC 9457) with `code` (below), `detail`, `remedy`, and for documents `faults`:',
    'which document, which field, what is wrong. 400: the request itself; 401: the token; 404: no such thing; 409: refused as',
    'things stand; 422: the documents or the event; 503: try again.',
    '',
    '| Code | What to do |',
    '| --- | --- |',
    ...errors,
    '',
    '## Settings',
    '',
    '| Variable | Meaning |',
    '| --- | --- |',
    '| `DATABASE_URL` | The ledger. |',
    '| `CONTROL_TOKEN_FILE` | File with the token, at least 16 characters. |',
    '| `CONTROL_PORT` | Default 7400. |',
    '| `CONTROL_HOST` | Default 127.0.0.1. |',
    '',
  ].join('\n')
  await expect(text).toMatchFileSnapshot('../../../docs/reference/api.md')
})
