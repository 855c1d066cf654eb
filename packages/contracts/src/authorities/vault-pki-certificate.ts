import { z } from 'zod'
import { millis, Name, Span, StorePath, spanMs } from '../fields.ts'
import { defineAuthority } from './definition.ts'
import { ROTATOR_VAULT } from './vault-approle-secret-id.ts'

/** Vault takes several names as one text, with commas between them. */
const oneName = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs},]+$/u, 'no comma, and no control character')

const schema = z
  .strictObject({
    kind: z.literal('vault-pki-certificate'),
    /** The path of the PKI secrets engine. */
    mount: StorePath.default('pki'),
    role: z
      .string()
      .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/, 'the name of a role of the PKI secrets engine')
      .refine((role) => !role.includes('..'), 'must not contain ".."'),
    /** Of the subject. */
    commonName: oneName(64).optional(),
    dnsNames: z.array(oneName(253)).max(100).default([]),
    ipAddresses: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .max(100)
      .default([]),
    /** Such as a SPIFFE ID. */
    uris: z.array(oneName(500)).max(20).default([]),
    /** How long a certificate lives. `maxAge` of the credential must leave enough of it for a rotation. */
    ttl: Span,
    /**
     * Where a certificate says that it is Rekey's: a further URI among its alternative names, `rekey://<credential>/<generation>`,
     * or the serial number of its subject, `rekey/<credential>/<generation>`, for who takes one URI only (SPIFFE).
     */
    mark: z.enum(['uri', 'subject']).default('uri'),
    /**
     * The longest that a program goes on with a certificate after its files were replaced, as its owner declares it: nobody sees
     * who presents one, so a routine rotation waits for so long. Absent: the nodes see which one their software shows.
     */
    longestUse: Span.optional(),
    /** A folder of this name in REKEY_CONNECTIONS_DIR at the rotator, with `role-id` and `secret-id`: the AppRole to work as. */
    connection: Name.default(ROTATOR_VAULT),
    /** How long the CRL that is handed out may lack what was revoked, and verifiers go on with the one that they have. */
    refusalLagMs: millis.default(1_000),
  })
  .refine(
    ({ commonName, dnsNames, ipAddresses, uris }) =>
      commonName !== undefined || dnsNames.length + ipAddresses.length + uris.length > 0,
    { path: ['commonName'], message: 'give a commonName, dnsNames, ipAddresses or uris: whose it is' },
  )
export type VaultPkiCertificateSpec = z.infer<typeof schema>

/** TLS certificates with their keys, issued by one role of a PKI secrets engine. */
export const vaultPkiCertificate = defineAuthority({
  kind: 'vault-pki-certificate',
  direction: 'outbound',
  schema,
  // A live certificate ends by the ttl that it was made with: a later one would let `maxAge` come after its end.
  identity: ['mount', 'role', 'ttl'],
  // What is on a CRL stays there: there is no way back, and so no suspension.
  abilities: ({ refusalLagMs, longestUse }) => ({
    slots: 2,
    soakMs: null,
    refusalLagMs,
    ...(longestUse !== undefined && { evidence: 'observed', quietMsMin: spanMs(longestUse) }),
    minted: true,
  }),
  lifeMs: ({ ttl }) => spanMs(ttl),
  insteadOfAdoption:
    'Rekey gets a certificate of its own beside the one that there is. Leave firstValue out, and revoke the old one when nobody presents it',
  through: ({ connection }) => connection,
  reaches: () => [],
  about: {
    purpose: 'a TLS certificate with its key, issued by the PKI of Vault or OpenBao',
    pages: [
      '[backend-vault](../../packages/backend-vault/README.md#certificates)',
      '[guide](../guides/certificate.md)',
    ],
    example: {
      kind: 'vault-pki-certificate',
      role: 'shop',
      commonName: 'shop.internal.example',
      ttl: '30d',
    },
    evidence: 'attested: what nodes see shown; or `longestUse`, as declared',
  },
})
