import { BlockList, isIP } from 'node:net'
import { z } from 'zod'

/** An IPv4 or IPv6 address, without a zone. */
export const Address = z
  .string()
  .max(45)
  .refine((text) => isIP(text) !== 0 && !text.includes('%'), 'an IP address')

/** An address, or a network such as 10.1.0.0/16. */
export const Network = z
  .string()
  .max(49)
  .refine((text) => {
    const [address = '', bits, ...rest] = text.split('/')
    if (rest.length > 0 || !Address.safeParse(address).success) return false
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIP(address) === 4 ? 32 : 128))
  }, 'an IP address, or a network such as 10.1.0.0/16')

/** Who is expected to use a credential, known by where requests come from. */
export const ClientSpec = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'no control characters'),
  addresses: z.array(Network).min(1).max(100),
})
export type ClientSpec = z.infer<typeof ClientSpec>

/**
 * What a gateway calls its own host: its agent tries keys from there. An address of it that no client declares is nobody
 * unknown.
 */
export const NODE_ITSELF = 'the node itself'

/** Names the client that an address belongs to, the first that declares it; undefined: none does. */
export function clientNamer(clients: readonly ClientSpec[]): (address: string) => string | undefined {
  const known = clients.map(({ name, addresses }) => ({ name, list: listOf(addresses) }))
  const itself = listOf(['127.0.0.0/8', '::1'])
  return (address) =>
    known.find(({ list }) => includes(list, address))?.name ??
    (includes(itself, address) ? NODE_ITSELF : undefined)
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    if (bits === undefined) list.addAddress(address, family(address))
    else list.addSubnet(address, Number(bits), family(address))
  }
  return list
}

const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
const includes = (list: BlockList, address: string) =>
  isIP(address) !== 0 && list.check(address, family(address))
