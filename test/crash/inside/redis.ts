import { createHash } from 'node:crypto'
import { type Command, Redis } from 'ioredis'
import { effectName, rotationOf } from './names.ts'
import { after, before } from './points.ts'

/**
 * Points are commands that name an effect of the rotation. The others are how a worker waits for jobs: they are sent
 * all the time, and carry nothing.
 */
export function hookRedis(): void {
  const scripts = new Map<string, string>()
  const define = Redis.prototype.defineCommand
  Redis.prototype.defineCommand = function (this: Redis, ...args: Parameters<typeof define>) {
    const [name, { lua }] = args
    scripts.set(createHash('sha1').update(lua).digest('hex'), name.replace(/:.*$/, ''))
    return Reflect.apply(define, this, args)
  }

  /** A command that waits for its connection is sent more than once. */
  const seen = new WeakSet<Command>()
  const send = Redis.prototype.sendCommand
  Redis.prototype.sendCommand = function (this: Redis, ...args: Parameters<typeof send>) {
    const [command] = args
    const call = () => Reflect.apply(send, this, args)
    if (seen.has(command)) return call()
    seen.add(command)
    const act = before((plan) => {
      const key = effectIn(command.args, `${rotationOf(plan)}.`)
      if (key === undefined) return []
      const name = scripts.get(String(command.args[0])) ?? command.name
      return [`redis ${name} ${effectName(key, plan)}`]
    })
    if (act) command.promise.then(() => after(act)).catch(() => undefined)
    return call()
  }
}

/** Jobs are named by their effect and how often it was relayed, and travel as packed bytes. */
function effectIn(args: unknown[], prefix: string): string | undefined {
  for (const argument of args.flat()) {
    const text = Buffer.isBuffer(argument) ? argument.toString('latin1') : String(argument)
    const at = text.indexOf(prefix)
    const [name] =
      at < 0 ? [] : (/^[a-z]+\.[a-z][a-z-]*(?:\d+)?(?:-g\d+)?/.exec(text.slice(at + prefix.length)) ?? [])
    if (name !== undefined) return prefix + name
  }
  return undefined
}
