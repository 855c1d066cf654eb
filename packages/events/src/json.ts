/** Deeper than any event that we know; bounds the recursion of everything that walks the data later. */
const DEPTH_MAX = 64

export type Parsed = { ok: true; json: unknown } | { ok: false; reason: string }

/** The reason never carries the parser's message: V8 quotes about ten characters of the text in it. */
export function parseJson(text: string): Parsed {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'malformed JSON' }
  }
  return isDeeper(json, DEPTH_MAX)
    ? { ok: false, reason: `JSON is nested deeper than ${DEPTH_MAX} levels` }
    : { ok: true, json }
}

/** The canonical form for digests: no spaces, keys sorted by UTF-16 code units, as in RFC 8785. */
export function canonicalJson(json: unknown): string {
  if (Array.isArray(json)) return `[${json.map(canonicalJson).join(',')}]`
  if (!isObject(json)) return JSON.stringify(json)
  const members = Object.keys(json)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(json[key])}`)
  return `{${members.join(',')}}`
}

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function isDeeper(json: unknown, levels: number): boolean {
  if (typeof json !== 'object' || json === null) return false
  if (levels === 0) return true
  return Object.values(json).some((child) => isDeeper(child, levels - 1))
}
