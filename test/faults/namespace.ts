import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { promisify } from 'node:util'
import { ensureIproute } from '@rekey/local'

const run = promisify(execFile)

/** A host of its own behind a cable that can be pulled: a network namespace of Linux with one link to this one. */
export type Namespace = {
  /** This side of the cable: what listens here is reached from inside. */
  address: string
  /** What to put before a command, so that it runs inside. */
  prefix: string[]
  /** Pulls the cable: packets vanish, and nobody is told. */
  cut(): Promise<void>
  heal(): Promise<void>
  remove(): Promise<void>
}

/** Why this machine can make none; undefined: it can. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  try {
    const ns = await makeNamespace()
    await ns.remove()
    return undefined
  } catch (error) {
    return `no right to make network namespaces: ${String((error as Error).message)
      .trim()
      .split('\n')
      .at(-1)}`
  }
}

export async function makeNamespace(): Promise<Namespace> {
  const ip = await ensureIproute()
  const id = randomBytes(3).toString('hex')
  const [name, outer, inner] = [`rekey-${id}`, `rko${id}`, `rki${id}`]
  // Of a range for benchmarks of networks (RFC 2544), which is routed nowhere; a link of two addresses.
  const net = `198.18.${randomInt(256)}`
  const at = randomInt(63) * 4
  const address = `${net}.${at + 1}`
  const prefix = [ip, 'netns', 'exec', name]
  const remove = async () => {
    // The link goes with its other end.
    await run(ip, ['netns', 'delete', name]).catch(() => undefined)
    await run(ip, ['link', 'delete', outer]).catch(() => undefined)
  }
  try {
    await run(ip, ['netns', 'add', name])
    await run(ip, ['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name])
    await run(ip, ['address', 'add', `${address}/30`, 'dev', outer])
    await run(ip, ['link', 'set', outer, 'up'])
    await run(ip, ['-n', name, 'address', 'add', `${net}.${at + 2}/30`, 'dev', inner])
    await run(ip, ['-n', name, 'link', 'set', 'lo', 'up'])
    await run(ip, ['-n', name, 'link', 'set', inner, 'up'])
  } catch (error) {
    await remove()
    throw error
  }
  return {
    address,
    prefix,
    cut: async () => void (await run(ip, ['-n', name, 'link', 'set', inner, 'down'])),
    heal: async () => void (await run(ip, ['-n', name, 'link', 'set', inner, 'up'])),
    remove,
  }
}
