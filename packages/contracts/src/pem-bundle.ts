import { RekeyError } from './errors.ts'
import { Secret } from './secret.ts'

/** A certificate, those that lead to its authority, and its private key. All is PEM. */
export type PemBundle = { certificate: string; chain: string[]; key: Secret }

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g

/** One text, in the order in which servers read it from one file: the certificate, its chain, its key. */
export function bundleText({ certificate, chain, key }: PemBundle): Secret {
  const blocks = [certificate, ...chain, key.reveal()]
  return Secret.of(blocks.map((block) => block.trim()).join('\n'))
}

/** The parts of such a text, in words that quote none of it. */
export function bundleParts(value: Secret): PemBundle {
  const blocks = [...value.reveal().matchAll(BLOCK)].map(([text, label = '']) => ({ text, label }))
  const [certificate, ...chain] = blocks.filter(({ label }) => label === 'CERTIFICATE')
  const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'))
  if (!certificate || keys.length !== 1)
    throw new RekeyError('value_refused', 'the value is no certificate with its private key, as PEM')
  return {
    certificate: `${certificate.text}\n`,
    chain: chain.map(({ text }) => `${text}\n`),
    key: Secret.of(`${keys[0]?.text}\n`),
  }
}
