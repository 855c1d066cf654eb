import { createHash } from 'node:crypto'

/** Ours, made once at random: version ids of Rekey never meet those of other software. */
const NAMESPACE = Buffer.from('6f1c0d5e4d5b4c1e9b0a7a2f3c8e5d41', 'hex')

/** UUID version 5 (RFC 9562): the same name always gives the same id, in every process and after every crash. */
export function uuidV5(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** One id for each generation, whoever stages it: so AWS lets only one value be the generation. */
export function generationVersion(secretId: string, generation: number): string {
  return uuidV5(`${secretId}|${generation}|stage`)
}

export function restoreVersion(secretId: string, callKey: string): string {
  return uuidV5(`${secretId}|${callKey}|restore`)
}

export function withdrawalVersion(secretId: string, callKey: string): string {
  return uuidV5(`${secretId}|${callKey}|withdraw`)
}

/** The version that keeps AWSCURRENT until something is promoted. */
export function emptyVersion(secretId: string): string {
  return uuidV5(`${secretId}|empty`)
}
