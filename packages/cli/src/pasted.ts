import { serialsIn } from './pasted-serials.ts'

/** The longest text that is looked through: a log line or a file of settings fits, a dump does not. */
export const PASTED_BYTES_MAX = 256 * 1024

/** Shorter ones are words. Rekey's own values have 22 characters at the least. */
const LENGTH_MIN = 8
/** The public id of a generation, which may be shorter. */
const KEY_ID = /[a-z0-9][a-z0-9-]*\.g\d+/g
/** JSON in a log line in JSON, base64 in a header in JSON, and no further. */
const DEPTH_MAX = 4

export type Pasted =
  | { candidates: string[] }
  /** Nothing that could be asked for, and what to do about it. */
  | { problem: string; remedy: string }

/**
 * Everything in a pasted text that may be a credential: a bare key, `Bearer KEY`, a header, a quoted string, a DSN, a URL or a
 * form with a key in it, JSON, lines of an env file, Basic authentication, a command line, a sentence. What is not one costs
 * nothing: only digests are asked for.
 */
export function readPasted(bytes: Uint8Array): Pasted {
  if (bytes.length > PASTED_BYTES_MAX)
    return {
      problem: `${Math.round(bytes.length / 1024)} KiB is more than a key`,
      remedy: `Paste the key itself, or the lines around it: at most ${PASTED_BYTES_MAX / 1024} KiB.`,
    }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return BINARY
  }
  if (text.includes('\0')) return BINARY
  const found = new Set<string>()
  collect(text.replace(INVISIBLE, '').replace(ESCAPES, ' '), found, 0)
  if (found.size > 0) return { candidates: [...found] }
  return text.trim() === ''
    ? {
        problem: 'nothing was pasted',
        remedy: 'Give the string on stdin: `pbpaste | rekey who`, or paste it.',
      }
    : {
        problem: `nothing in it is as long as a key (${LENGTH_MIN} characters)`,
        remedy: 'Paste the whole key: a part of it cannot be found.',
      }
}

const BINARY: Pasted = {
  problem: 'it is not text',
  remedy: 'Decode it first (base64, gzip, UTF-16, a core dump …) and paste the key itself.',
}

/** Characters without a width, which come with a copy from a chat or a document. */
const INVISIBLE = /[\u200B-\u200D\u2060\uFEFF\u00AD]/g
/** Colours of a terminal, and what it puts around a paste. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z~]/g
/** What stands around a key where people find one. */
const AROUND = new Set(' \t\r\n"\'`´‘’“”«»<>()[]{},;.!?:*|\\')

function collect(text: string, found: Set<string>, depth: number): void {
  const add = (candidate: string | undefined) => {
    if (candidate !== undefined && candidate.length >= LENGTH_MIN) found.add(candidate)
  }
  // As it is first: a value may begin or end with a bracket.
  add(text.trim())
  add(bare(text))
  for (const serial of serialsIn(text)) add(serial)
  if (depth < DEPTH_MAX) for (const leaf of jsonLeaves(text)) collect(leaf, found, depth + 1)
  for (const line of text.split(/\r?\n/)) {
    add(bare(line))
    // KEY=value, export KEY="value", key: value, Header: value
    add(bare(/^\s*\+?\s*(?:export\s+)?[\w.-]+\s*[:=]\s*(.+)$/.exec(line)?.[1] ?? ''))
    for (const word of line.split(/\s+/)) {
      add(bare(word))
      for (const part of word.split(/[=&?#|<>()*"'`,;@:/\\[\]{}]+/)) add(bare(part))
      // What a key may be made of, wherever it stands: with and without what base64 and DSNs use as well.
      for (const [run] of word.matchAll(/[\w~+/=.%-]+/g)) {
        add(bare(run))
        add(decoded(run))
        if (depth < DEPTH_MAX) for (const text of ofBase64(run)) collect(text, found, depth + 1)
      }
      for (const part of ofUrl(word)) add(part)
    }
    for (const [id] of line.matchAll(KEY_ID)) found.add(id)
  }
}

/** Without what stands around it; from both ends, because a pattern for that would take time with the square of spaces. */
function bare(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && AROUND.has(text[from] ?? '')) from++
  while (to > from && AROUND.has(text[to - 1] ?? '')) to--
  return text.slice(from, to)
}

/** Every string in it, where the text or a line of it is JSON. */
function jsonLeaves(text: string): string[] {
  const leaves: string[] = []
  const walk = (value: unknown): void => {
    if (typeof value === 'string') leaves.push(value)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk)
  }
  const pieces = new Set([text, ...text.split(/\r?\n/)])
  for (const piece of pieces) {
    if (!/^\s*[[{"]/.test(piece)) continue
    try {
      walk(JSON.parse(piece))
    } catch {
      // Not JSON then.
    }
  }
  // The text itself, in quotes, is no leaf of its own.
  return leaves.filter((leaf) => leaf !== text)
}

/** User, password, path and parameters of the URL or DSN in a word, as they are meant. */
function ofUrl(word: string): string[] {
  const [text] = /[a-z][a-z0-9+.-]*:\/\/[^\s"'<>`]+/i.exec(word) ?? []
  const url = text === undefined ? null : URL.parse(text)
  if (!url) return []
  const parts = [url.username, url.password, ...url.searchParams.values(), ...url.pathname.split('/')]
  return parts.flatMap((part) => [part, decoded(part)])
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What is meant by base64, where that is text: `user:password` of RFC 7617, a Kubernetes secret. */
function ofBase64(run: string): string[] {
  if (!/^[A-Za-z0-9+/_-]{8,}={0,2}$/.test(run)) return []
  const text = Buffer.from(run, 'base64').toString('utf8')
  return /^[\x20-\x7E\r\n]{8,}$/.test(text) ? [text] : []
}
