import { z } from 'zod'
import { millis, Name } from '../fields.ts'
import { defineAuthority } from './definition.ts'

/** A Redis server as clients reach it, without user and password. */
const RedisUrl = z.url({ protocol: /^rediss?$/ }).refine((text) => {
  const url = URL.parse(text)
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  return isPlain && (url?.pathname === '' || url?.pathname === '/')
}, 'must be redis://HOST:PORT or rediss://HOST:PORT, with nothing else')

const schema = z.strictObject({
  kind: z.literal('redis-acl-pair'),
  /** The users are `<pair>_a` and `<pair>_b`. */
  pair: z
    .string()
    .max(61)
    .regex(/^[A-Za-z0-9_-]+$/, 'letters, digits, _ and -'),
  /** A file of this name in REKEY_CONNECTIONS_DIR at the rotator: the login, in JSON, of who manages the pair. */
  connection: Name,
  /** Where clients log in, and where the prober tries values: ways to one server. The first one is what the value names. */
  endpoints: z.array(z.strictObject({ name: Name, url: RedisUrl })).min(1),
  /** The server keeps its users in an ACL file, which is saved at each change. False: they are kept in another way. */
  aclFile: z.boolean().default(true),
  /** How long the old user is refused, and could still be taken back, before it is ended for good. */
  soakMs: millis.default(10_000),
})
export type RedisAclPairSpec = z.infer<typeof schema>

/** Two ACL users of Redis or Valkey with the same permissions. */
export const redisAclPair = defineAuthority({
  kind: 'redis-acl-pair',
  direction: 'outbound',
  schema,
  identity: ['pair'],
  // Refused from the change on; and the server knows its sessions.
  abilities: ({ soakMs }) => ({ slots: 2, soakMs, refusalLagMs: 0, evidence: 'observed' }),
  insteadOfAdoption:
    'Rekey makes a login of its own beside the one that there is. Leave firstValue out, and drop the old user when nobody uses it',
  through: ({ connection }) => connection,
  reaches: ({ endpoints }) => endpoints,
  about: {
    purpose: 'the login of an application to Redis or Valkey',
    pages: [
      '[backend-redis-acl-pair](../../packages/backend-redis-acl-pair/README.md)',
      '[guide](../guides/redis-login.md)',
    ],
    example: {
      kind: 'redis-acl-pair',
      pair: 'app',
      connection: 'cache',
      endpoints: [{ name: 'primary', url: 'redis://cache' }],
    },
  },
})
