import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { RekeyError, Secret } from '@rekey/contracts'
import { expect } from 'vitest'

const PLANTED = 'planted-'

/** A value that is found again wherever it leaks to. */
export function plantedSecret(): Secret {
  return Secret.of(`${PLANTED}${randomBytes(18).toString('hex')}`)
}

/** A sent text broken off inside of a planted secret, so that whoever quotes its beginning quotes the secret. */
export function brokenOff(sent: Buffer): string {
  const text = sent.toString()
  const at = text.indexOf(PLANTED)
  return at === -1 ? text.slice(text.length / 3) : text.slice(at + PLANTED.length)
}

/** Everything that a logger, a crash report or a careless `JSON.stringify` could make of an error. */
export function everyPrint(error: unknown): string {
  const prints = [String(error), inspect(error, { depth: Infinity, showHidden: true, getters: true })]
  let link: unknown = error
  for (let depth = 0; depth < 10 && link instanceof Error; depth++) {
    const own = Object.getOwnPropertyNames(link).map((name) => [name, Reflect.get(link as object, name)])
    prints.push(link.message, link.stack ?? '', String(JSON.stringify(link)), String(JSON.stringify(own)))
    link = link.cause
  }
  return prints.join('\n')
}

/** The error that `work` ends in: a RekeyError in which none of the secrets can be found, not even in part. */
export async function safeErrorOf(work: Promise<unknown>, ...secrets: Secret[]): Promise<RekeyError> {
  const error = await work.then(
    () => expect.fail('expected an error, but the call succeeded'),
    (thrown: unknown) => thrown,
  )
  expectNoLeak(error, ...secrets)
  if (!RekeyError.is(error)) return expect.fail(`expected a RekeyError, but got ${String(error)}`)
  return error
}

export function expectNoLeak(thing: unknown, ...secrets: Secret[]): void {
  const printed = everyPrint(thing)
  for (const secret of secrets) {
    const whole = secret.reveal()
    // A value of several fields may have parts that are no secret, such as a user's name.
    const text = /planted-[\w-]+/.exec(whole)?.[0] ?? whole
    const parts = [whole, text].map((form) => Buffer.from(form).toString('base64').slice(0, 20))
    // A parse error quotes about ten characters from anywhere in the text.
    for (let at = PLANTED.length; at + 8 <= text.length; at++) parts.push(text.slice(at, at + 8))
    expect(
      parts.filter((part) => printed.includes(part)),
      'an error holds a secret',
    ).toEqual([])
  }
}
