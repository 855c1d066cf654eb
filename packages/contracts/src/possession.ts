import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto'
import type { Secret } from './secret.ts'

/** RFC 8410: the fixed PKCS #8 header of an Ed25519 private key; the 32-byte seed follows. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** What a node states when it acknowledges a desired state. Signed with a key that only the value yields. */
export type Statement = {
  credential: string
  generation: number
  revision: number
  /** SPIFFE ID of the node; must be the mTLS peer's. */
  node: string
  session: number
  boot: string
  nonce: string
}

/** A node proves the same value several times in one rotation. What it yields goes with it. */
const derived = new WeakMap<Secret, { info: string; key: KeyObject }>()

function privateKey(value: Secret, credential: string, generation: number): KeyObject {
  const info = `${credential}/${generation}`
  const known = derived.get(value)
  if (known?.info === info) return known.key
  const seed = hkdfSync('sha256', value.reveal(), 'rekey/possession/v1', info, 32)
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, Buffer.from(seed)]),
    format: 'der',
    type: 'pkcs8',
  })
  derived.set(value, { info, key })
  return key
}

/** The bytes that are signed: one JSON array, so that no two statements share bytes. */
function bytesOf(s: Statement): Buffer {
  return Buffer.from(
    JSON.stringify([
      'rekey/proof/v1',
      s.credential,
      s.generation,
      s.revision,
      s.node,
      s.session,
      s.boot,
      s.nonce,
    ]),
  )
}

/**
 * The bits that a value has at the most, if it was drawn from the kinds of characters that are in it. What has fewer than 128
 * must have no public half: whoever reads the ledger could guess it.
 */
export function bitsAtMost(value: Secret): number {
  const text = value.reveal()
  const kinds = [
    [/[0-9]/, 10],
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[^0-9a-zA-Z]/, 33],
  ] as const
  const alphabet = kinds.reduce((sum, [kind, size]) => sum + (kind.test(text) ? size : 0), 0)
  const distinct = new Set(text).size
  // What repeats a few characters was not drawn from all of them.
  const drawn = distinct < 8 ? distinct : Math.min(alphabet, 4 * distinct)
  return drawn < 2 ? 0 : text.length * Math.log2(drawn)
}

/** The public half (SPKI, base64) that the ledger keeps: a reader of a backup can check proofs, not forge them. */
export function proofPublicKey(value: Secret, credential: string, generation: number): string {
  return createPublicKey(privateKey(value, credential, generation))
    .export({ format: 'der', type: 'spki' })
    .toString('base64')
}

export function signStatement(value: Secret, statement: Statement): string {
  const key = privateKey(value, statement.credential, statement.generation)
  return sign(null, bytesOf(statement), key).toString('base64')
}

/** A public half that was read once, for whoever checks many proofs. Undefined: it is no key. */
export function readProofKey(publicKey: string): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
  } catch {
    return undefined
  }
}

/** False for every malformed key or signature too: a lie must not become an exception. */
export function verifyStatement(
  publicKey: string | KeyObject,
  statement: Statement,
  signature: string,
): boolean {
  const key = typeof publicKey === 'string' ? readProofKey(publicKey) : publicKey
  if (!key) return false
  try {
    return verify(null, bytesOf(statement), key, Buffer.from(signature, 'base64'))
  } catch {
    return false
  }
}
