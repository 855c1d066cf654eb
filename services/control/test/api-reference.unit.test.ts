import { ERRORS, Secret } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import { ACTIONS } from '@rekey/policy'
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
  'x-rekey-action'?: string[]
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

test('every route under /v1 declares an action that the policies know, and no other route is open', () => {
  for (const { route, operation } of operations) {
    const actions = operation['x-rekey-action'] ?? []
    expect(actions.length > 0, route).toBe(route.includes(' /v1/'))
    for (const action of actions) expect(ACTIONS, route).toContain(action)
  }
  const open = operations.filter(({ route }) => !route.includes(' /v1/')).map(({ route }) => route)
  expect(open).toEqual(['GET /healthz', 'GET /readyz', 'GET /openapi.json'])
  const used = new Set(operations.flatMap(({ operation }) => operation['x-rekey-action'] ?? []))
  expect(ACTIONS.filter((action) => !used.has(action))).toEqual([])
})

test('docs/reference/api.md is up to date (vitest -u writes it)', async () => {
  const rows = operations
    .filter(({ route }) => route.includes(' /v1/'))
    .map(({ route, operation }) => {
      const actions = operation['x-rekey-action'] ?? []
      return `| \`${route}\` | ${operation.summary} | ${actions.map((action) => `\`${action}\``).join(', ')} |`
    })
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
    'Routes under `/v1` want to know who asks:',
    '',
    '| Way in | The journal says | |',
    '| --- | --- | --- |',
    '| a bearer token of `CONTROL_OIDC_ISSUER` (RS256, ES256 or EdDSA) | `oidc/<name claim>` | `x-rekey-actor` is ignored |',
    '| a client certificate, signed by `CONTROL_TLS_CLIENT_CA_FILE` | `mtls/<SPIFFE ID, else DNS name>` | `x-rekey-actor` is ignored |',
    '| a break-glass token, made with a key of `CONTROL_BREAK_GLASS_KEYS_FILE` | `break-glass/<person>` | `x-rekey-actor` is ignored; [each use is recorded](policies.md#break-glass) |',
    '| the shared token of `CONTROL_TOKEN_FILE` as a bearer token | `operator/<x-rekey-actor>` | **the name is believed as it is told**: whoever has this token may act for everybody |',
    '',
    'With `CONTROL_POLICIES_DIR` Cedar policies say who may do what ([policies](policies.md)). Without it only the shared token',
    'lets in, and whoever has it may do everything: keep control on loopback then, or behind a proxy that knows its users and',
    'sets `x-rekey-actor`. Control speaks plain HTTP unless it has `CONTROL_TLS_CERT_FILE`: anything but loopback needs TLS.',
    '',
    '## Routes',
    '',
    '*Action* is what the policies are asked for. With `apply` in its body `POST /v1/configuration` is `apply`, else `diff`.',
    '',
    '| Route | What it does | Action |',
    '| --- | --- | --- |',
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
    '**Without that header a repeat is not recognised as one.** After a lost answer, look before you order again',
    '(`GET /v1/credentials/{name}` has `openRotation`). A second `rotate` joins the first until its value is being made, and is',
    'followed by one more rotation after that. A second `retire` joins, or is refused. Give `generations` with `expedite` and',
    '`contain`: then a repeat joins, or is refused once that generation is out of use, and never means the next value.',
    '',
    'What policies allow only with a second person is a 403 `approval_needed`, with the `id` and the end of an approval; nothing was',
    'done. When somebody else has agreed (`POST /v1/approvals/{id}/approve`), the same order by the same person is carried out, once',
    '([two people](policies.md#two-people)).',
    '',
    '## Errors',
    '',
    'Errors are `application/problem+json` (RFC 9457) with `code` (below), `detail`, `remedy`, and for documents `faults`:',
    'which document, which field, what is wrong. 400: the request itself; 401: who asks is not clear; 403 `denied`: the policies',
    'refuse it, and `denied` has principal, action, resource and the `policies` that decided (none: no policy permits it); 404: no',
    'such thing; 409: refused as things stand; 422: the documents or the event; 503: try again.',
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
    '| `CONTROL_PORT` | Default 7400. |',
    '| `CONTROL_HOST` | Default 127.0.0.1. |',
    '| `CONTROL_TOKEN_FILE` | File with the shared token, at least 16 characters. May be left out where there is another way in. |',
    '| `CONTROL_POLICIES_DIR` | Folder with `*.cedar` and `entities.json`, read at the start. Policies that do not validate end it. |',
    '| `CONTROL_OIDC_ISSUER` | `iss` of the tokens that are taken. Needs policies. |',
    '| `CONTROL_OIDC_AUDIENCE` | `aud` that a token must have. |',
    '| `CONTROL_OIDC_JWKS_URL` | Where the keys of the issuer are: https, or http on this host. |',
    "| `CONTROL_OIDC_JWKS_FILE` | The same as a file, which is read again as a URL is. Without either the issuer's openid-configuration says it. |",
    '| `CONTROL_OIDC_NAME_CLAIM` | Default `sub`. Take one that names a person for good. |',
    '| `CONTROL_OIDC_GROUPS_CLAIM` | Default `groups`; also a path such as `realm_access.roles`. |',
    '| `CONTROL_OIDC_SKEW_MS` | How far clocks may differ. Default 30000. |',
    '| `CONTROL_BREAK_GLASS_KEYS_FILE` | JWK set with the public keys that break-glass tokens are made with. Needs policies, and: |',
    '| `CONTROL_SPOOL_DIR` | Folder of this control alone, on a disk that outlives it: each use of such a token is there before it is carried out. |',
    '| `CONTROL_TLS_CERT_FILE`, `CONTROL_TLS_KEY_FILE` | PEM. With them control speaks TLS. |',
    '| `CONTROL_TLS_CLIENT_CA_FILE` | PEM. Certificates that it signed are a way in. Needs policies. |',
    '| `VAULT_ADDR`, `VAULT_ROLE_ID_FILE`, `VAULT_SECRET_ID_FILE` | For `who` alone. |',
    '',
    'Keys of an issuer are read every five minutes, and when a token names one that is not known (at most every ten seconds).',
    'While the issuer is away, keys that were read go on working for a day. A control that has none yet answers its tokens with',
    '503; the shared token works.',
    '',
  ].join('\n')
  await expect(text).toMatchFileSnapshot('../../../docs/reference/api.md')
})
