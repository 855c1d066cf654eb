import { Name } from '@rekey/contracts'

const ID_MAX_BYTES = 2048
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const SEGMENT = /^[A-Za-z0-9._-]+$/
const PLACEHOLDERS = ['{workload}', '{node}']

export type SvidTemplate = {
  readonly text: string
  /** The workload and the node that a SPIFFE ID names, or undefined where it is not made like this. */
  read(spiffeId: string): { workload: string; node: string } | undefined
}

/**
 * How a SPIFFE ID names a node and its workload, such as `spiffe://prod.example/rekey/{workload}/{node}`. A placeholder is a
 * whole segment of the path, so that nothing has to be searched for: an ID is compared segment by segment, to the letter. It
 * has no percent-encoding, no `.` and no `..` (SPIFFE-ID, 2.2), and is never normalised here.
 */
export function svidTemplate(text: string): SvidTemplate {
  const parts = segmentsOf(text)
  if (!parts) throw new Error('must begin with spiffe://TRUST_DOMAIN/, in lower case')
  const wrong = parts
    .slice(1)
    .find((part) => !PLACEHOLDERS.includes(part) && (!SEGMENT.test(part) || part === '.' || part === '..'))
  if (wrong !== undefined)
    throw new Error(
      `"${wrong}" is no segment of a path: letters, digits, ".", "_", "-", or a whole placeholder`,
    )
  for (const placeholder of PLACEHOLDERS)
    if (parts.filter((part) => part === placeholder).length !== 1)
      throw new Error(`must have ${placeholder} once, as a segment of its own`)
  return {
    text,
    read(spiffeId) {
      const given = segmentsOf(spiffeId)
      if (given?.length !== parts.length) return undefined
      const found = new Map<string, string>()
      for (const [i, part] of parts.entries()) {
        const here = given[i] ?? ''
        if (!PLACEHOLDERS.includes(part)) {
          if (here !== part) return undefined
        } else if (Name.safeParse(here).success) found.set(part, here)
        else return undefined
      }
      return { workload: found.get('{workload}') ?? '', node: found.get('{node}') ?? '' }
    },
  }
}

/** The trust domain, and then the path. */
function segmentsOf(id: string): string[] | undefined {
  if (Buffer.byteLength(id) > ID_MAX_BYTES || !id.startsWith('spiffe://')) return undefined
  const parts = id.slice('spiffe://'.length).split('/')
  return TRUST_DOMAIN.test(parts[0] ?? '') && parts.length > 1 ? parts : undefined
}
