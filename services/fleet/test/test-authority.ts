import 'reflect-metadata'
import {
  BasicConstraintsExtension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509'
import { type certificateAuthority, newKeys, P256 } from '@rekey/testing/certificates'

export type TestAuthority = Awaited<ReturnType<typeof certificateAuthority>>
export type Issued = Awaited<ReturnType<TestAuthority['issue']>>

export const nodeNames = (node: string): JsonGeneralNames => [
  { type: 'url', value: `spiffe://rekey.local/node/${node}` },
]

export type SvidOptions = {
  names?: JsonGeneralNames
  isCa?: boolean
  usages?: KeyUsageFlags | 0
  notBefore?: Date
  notAfter?: Date
}

/** A certificate as SPIRE makes them for workloads, or a wrong one. */
export function svidFor(
  authority: TestAuthority,
  spiffeId: string,
  options: SvidOptions = {},
): Promise<Issued> {
  const { names = [], isCa = false, usages = KeyUsageFlags.digitalSignature, ...validity } = options
  return authority.issue([{ type: 'url', value: spiffeId }, ...names], {
    ...validity,
    extensions: [
      new BasicConstraintsExtension(isCa),
      ...(usages === 0 ? [] : [new KeyUsagesExtension(usages, true)]),
    ],
  })
}

/** A signing request with these names, of a key that is thrown away. */
export async function requestFor(
  names: JsonGeneralNames,
  subject = '',
  keys?: CryptoKeyPair,
): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: keys ?? (await newKeys()),
    signingAlgorithm: P256,
    extensions: [new SubjectAlternativeNameExtension(names)],
  })
  return request.toString('pem')
}

type CryptoKeyPair = Awaited<ReturnType<typeof newKeys>>
