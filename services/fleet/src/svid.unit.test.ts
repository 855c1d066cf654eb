import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { KeyUsageFlags, KeyUsagesExtension } from '@peculiar/x509'
import { certificateAuthority } from '@rekey/testing/certificates'
import { beforeAll, describe, expect, test } from 'vitest'
import { type SvidOptions, svidFor, type TestAuthority } from '../test/test-authority.ts'
import { readSvid } from './svid.ts'
import { svidTemplate } from './svid-template.ts'

const template = svidTemplate('spiffe://prod.example/rekey/{workload}/{node}')
const ID = 'spiffe://prod.example/rekey/chat/gw-1'
let authority: TestAuthority

beforeAll(async () => {
  authority = await certificateAuthority()
})

const derOf = (pem: string) => new X509Certificate(pem).raw

async function read(id: string, options: SvidOptions = {}, untrusted?: string) {
  const { cert } = await svidFor(authority, id, options)
  return readSvid({ der: derOf(cert), untrusted }, template)
}

describe('a certificate of SPIRE', () => {
  test('speaks for the node that its SPIFFE ID names', async () => {
    const identity = { workload: 'chat', node: 'gw-1', svid: ID }
    expect(await read(ID)).toEqual({ identity })
    // Other kinds of names are allowed, and mean nothing.
    expect(await read(ID, { names: [{ type: 'dns', value: 'gw-2' }] })).toEqual({ identity })
    // As SPIRE does it.
    const { digitalSignature, keyEncipherment, keyAgreement } = KeyUsageFlags
    expect(await read(ID, { usages: digitalSignature | keyEncipherment | keyAgreement })).toEqual({
      identity,
    })
  })

  test('that the handshake did not trust is not read, whatever it says', async () => {
    expect(await read(ID, {}, 'CERT_HAS_EXPIRED')).toEqual({
      fault: 'the certificate is not trusted (CERT_HAS_EXPIRED)',
      untrusted: true,
    })
  })

  test.each<[string, RegExp, string, SvidOptions]>([
    ['is a CA', /is a CA/, ID, { isCa: true }],
    [
      'may sign certificates',
      /may sign/,
      ID,
      { usages: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign },
    ],
    [
      'may sign revocations',
      /may sign/,
      ID,
      { usages: KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign },
    ],
    ['does not say what its key is for', /digitalSignature/, ID, { usages: 0 }],
    ['has a key for something else', /digitalSignature/, ID, { usages: KeyUsageFlags.keyAgreement }],
    ['has two URIs', /more than one/, ID, { names: [{ type: 'url', value: 'spiffe://prod.example/b' }] }],
    ['has one URI twice', /more than one/, ID, { names: [{ type: 'url', value: ID }] }],
    ['is of another trust domain', /does not match/, 'spiffe://test.example/rekey/chat/gw-1', {}],
    ['is of something else', /does not match/, 'spiffe://prod.example/web', {}],
    ['goes on after the node', /does not match/, `${ID}/extra`, {}],
  ])('that %s is refused', async (_what, fault, id, options) => {
    expect(await read(id, options)).toEqual({ fault: expect.stringMatching(fault), untrusted: false })
  })

  test('without a SPIFFE ID, or that is none at all, is refused', async () => {
    const extensions = [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true)]
    const { cert } = await authority.issue([{ type: 'dns', value: ID }], { extensions })
    const fault = (der: Uint8Array) => readSvid({ der, untrusted: undefined }, template)
    expect(fault(derOf(cert))).toEqual({ fault: 'the certificate has no SPIFFE ID', untrusted: false })
    const unreadable = { fault: 'the certificate cannot be read', untrusted: false }
    expect(fault(Buffer.from('no certificate'))).toEqual(unreadable)
    expect(fault(Buffer.alloc(0))).toEqual(unreadable)
  })
})
