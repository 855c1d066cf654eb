import { describe, expect, test } from 'vitest'
import { Address, clientNamer, Network, NODE_ITSELF } from './address.ts'

describe('an address', () => {
  test.each(['10.0.0.7', '::1', '2001:db8::7', '::ffff:10.0.0.7'])('%s is one', (text) => {
    expect(Address.safeParse(text).success).toBe(true)
  })
  test.each(['', '10.0.0', '10.0.0.256', 'fe80::1%eth0', '10.0.0.0/8', 'gateway', '010.0.0.1'])(
    '%j is none',
    (text) => {
      expect(Address.safeParse(text).success).toBe(false)
    },
  )
})

describe('a network', () => {
  test.each(['10.0.0.7', '10.0.0.0/8', '0.0.0.0/0', '2001:db8::/32', '::1/128'])('%s is one', (text) => {
    expect(Network.safeParse(text).success).toBe(true)
  })
  test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '::/129', '10.0.0.0/-1', 'example.org/24'])(
    '%j is none',
    (text) => {
      expect(Network.safeParse(text).success).toBe(false)
    },
  )
})

describe('a client', () => {
  const nameOf = clientNamer([
    { name: 'batch', addresses: ['10.1.0.0/16', '2001:db8:1::/48'] },
    { name: 'evaluation', addresses: ['10.1.2.3', '10.2.0.9'] },
  ])

  test.each([
    ['10.1.2.4', 'batch'],
    // The first that declares it.
    ['10.1.2.3', 'batch'],
    ['10.2.0.9', 'evaluation'],
    ['10.2.0.8', undefined],
    ['2001:db8:1::5', 'batch'],
    ['2001:db8:2::5', undefined],
    ['::ffff:10.1.2.4', 'batch'],
    ['127.0.0.1', NODE_ITSELF],
    ['::1', NODE_ITSELF],
    ['not an address', undefined],
  ])('at %s is %s', (address, name) => {
    expect(nameOf(address)).toBe(name)
  })

  test('that declares the own host of gateways is named first', () => {
    expect(clientNamer([{ name: 'local', addresses: ['127.0.0.1'] }])('127.0.0.1')).toBe('local')
  })
})
