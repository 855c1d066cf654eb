import { RekeyError } from '@rekey/contracts'
import { z } from 'zod'
import { type Api, answers, SECURED, type Shared } from './route.ts'

/** As many as a pasted text has at the most. */
const DIGESTS_MAX = 1_000

const Digest = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 digest: 64 lower-case hexadecimal digits')

const Spread = z.object({ middle: z.number(), longest: z.number() }).nullable()

const Owned = z.object({
  by: z.enum(['fingerprint', 'key-id']).describe('key-id: it is the public id of a value, and no secret'),
  credential: z.string(),
  generation: z.number().int(),
  keyId: z.string(),
  workload: z.string(),
  purpose: z.string(),
  environment: z.string(),
  owner: z.string(),
  label: z.string().nullable().describe('pending, current or previous; null: in no use any more'),
  validity: z.string(),
  ending: z
    .enum(['waiting', 'draining', 'suspending', 'revoking', 'proving', 'dead'])
    .nullable()
    .describe('Where it stands on its way out; null: it is not on it'),
  compromised: z.boolean().describe('Somebody said before that it leaked'),
  stores: z.array(z.string()).describe('Stores whose readers get it now'),
  nodes: z.array(
    z.object({
      node: z.string(),
      state: z.string(),
      accepts: z
        .boolean()
        .nullable()
        .describe('As the node proved; null: it has not proved what it was told last'),
      inFlight: z.number().int(),
      lastUsedAt: z.string().nullable(),
    }),
  ),
  lastUse: z
    .object({ at: z.string(), node: z.string() })
    .nullable()
    .describe('Null: none is known of, which is no proof that there was none'),
  clients: z
    .object({
      declared: z.array(z.string()).describe("The clients of the credential's document"),
      seen: z.array(
        z.object({
          address: z.string().describe('As the node sees it'),
          client: z
            .string()
            .nullable()
            .describe('Null: the address is of no declared client. `the node itself`: of its loopback'),
          node: z.string(),
          requests: z.number().int(),
          firstUsedAt: z.string(),
          lastUsedAt: z.string().describe('Up to a minute behind `lastUse`'),
        }),
      ),
    })
    .describe('By whom it is used, or was before it died, as far as nodes can tell; the latest first'),
  reaches: z.array(z.object({ name: z.string(), url: z.string() })),
  rotation: z
    .object({ id: z.string(), phase: z.string(), mode: z.enum(['rotate', 'expedite', 'contain']) })
    .nullable(),
  dead: z
    .object({ since: z.string(), refusedBy: z.array(z.string()), exceptions: z.array(z.string()) })
    .nullable(),
  knocks: z
    .object({
      requests: z.number().int(),
      firstAt: z.string().nullable(),
      lastAt: z.string().nullable(),
      from: z.array(
        z.object({
          address: z.string(),
          client: z.string().nullable(),
          nodes: z.array(z.string()),
          requests: z.number().int(),
          lastAt: z.string(),
        }),
      ),
      watchedBy: z.array(z.string()).describe('Nodes that would notice it now'),
      notWatchedBy: z.array(z.string()).describe('Nodes that would not: nothing is known of requests there'),
    })
    .nullable()
    .describe('Requests with it since it died; null: it is not dead'),
  forecast: z
    .array(
      z.object({
        order: z.enum(['rotate', 'expedite', 'contain']),
        deadAfterMs: Spread.describe('From the order to the proof of death, as measured; null: never done'),
        measured: z.number().int(),
        of: z.enum(['this credential', 'all credentials']),
        outageMs: Spread.describe('contain: how long it was refused before its successor was in every store'),
      }),
    )
    .describe('Empty where it is in no use any more'),
})

export function whoRoutes(api: Api, { ledger, fingerprints }: Shared): void {
  api.post(
    '/who',
    {
      config: { action: 'who' },
      schema: {
        summary: 'Whose is a string that was found somewhere?',
        description:
          'Takes digests, never values: SHA-256 of each string that may be one. They are not kept. 409 `not_allowed_now` where this control has no Vault to make fingerprints.',
        tags: ['credentials'],
        security: SECURED,
        body: z.strictObject({ digests: z.array(Digest).min(1).max(DIGESTS_MAX) }),
        response: answers(
          z.object({
            found: z.array(z.array(Owned)).describe('For each digest, in their order'),
            unfingerprinted: z
              .array(z.string())
              .describe('Credentials with a value that could not be found by its fingerprint'),
          }),
        ),
      },
    },
    async ({ body: { digests } }) => {
      if (!fingerprints)
        throw new RekeyError('not_allowed_now', 'this control has no Vault to make fingerprints with')
      return ledger.who({ digests, fingerprints: await fingerprints.of(digests) })
    },
  )
}
