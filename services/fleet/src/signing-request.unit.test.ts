import { webcrypto } from 'node:crypto'
import { newKeys } from '@rekey/testing/certificates'
import { expect, test } from 'vitest'
import { nodeNames, requestFor } from '../test/test-authority.ts'
import { requestFault } from './signing-request.ts'

test('a request for the node alone has no fault', async () => {
  expect(await requestFault(await requestFor(nodeNames('gw-1')), 'gw-1')).toBeUndefined()
})

test.each([
  ['another node', nodeNames('gw-2'), ''],
  ['two names', [...nodeNames('gw-1'), ...nodeNames('gw-2')], ''],
  ['a host name besides', [...nodeNames('gw-1'), { type: 'dns', value: 'localhost' } as const], ''],
  ['a host name that looks like it', [{ type: 'dns', value: 'spiffe://rekey.local/node/gw-1' } as const], ''],
  ['a subject', nodeNames('gw-1'), 'CN=localhost'],
])('%s is a fault', async (_what, names, subject) => {
  expect(await requestFault(await requestFor(names, subject), 'gw-1')).toBeTypeOf('string')
})

test('a request that its key did not sign is a fault', async () => {
  const [own, foreign] = [await newKeys(), await newKeys()]
  const mixed = { privateKey: foreign.privateKey, publicKey: own.publicKey } as Awaited<
    ReturnType<typeof newKeys>
  >
  expect(await requestFault(await requestFor(nodeNames('gw-1'), '', mixed), 'gw-1')).toMatch(
    /not signed by its key/,
  )
})

test('a key of another kind and no request at all are faults', async () => {
  const p384 = { name: 'ECDSA', namedCurve: 'P-384' }
  const keys = (await webcrypto.subtle.generateKey(p384, true, ['sign', 'verify'])) as Awaited<
    ReturnType<typeof newKeys>
  >
  expect(await requestFault(await requestFor(nodeNames('gw-1'), '', keys), 'gw-1')).toMatch(/P-256/)
  expect(await requestFault('-----BEGIN NONSENSE-----', 'gw-1')).toMatch(/PKCS #10/)
})
