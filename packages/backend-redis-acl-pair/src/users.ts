import { RekeyError } from '@rekey/contracts'
import { isMark, type Mark, markIn } from './mark.ts'
import type { Reply } from './resp.ts'

/** A user of the pair whose mark can be read. */
export type User = {
  name: string
  isOn: boolean
  /** Digests of passwords, without the mark. */
  passwords: string[]
  mark: Mark
  /** The mark as the server has it. */
  text: string
  /** What it may do, by the server's own names; whatever this server's version shows. */
  permissions: Map<string, string>
}

/** A client that is logged in. `isTry`: it calls itself as our own tries do. */
type Session = { id: string; isTry: boolean }

/** Both users, and who is logged in as which, of one moment. */
export type Pair = {
  users: User[]
  /** For each user that nothing can be said of: why, and what to do. */
  faults: RekeyError[]
  sessions: Map<string, Session[]>
}

const SEE = 'see docs/guides/redis-login.md, "A user without a mark"'

/** As `ACL GETUSER` answers: names and values in turn. */
export function userOf(name: string, reply: Reply | undefined): User | RekeyError {
  if (!Array.isArray(reply))
    return new RekeyError(
      'not_found',
      `there is no user ${name}: make it again, off and with a fresh mark; ${SEE}`,
    )
  const fields = new Map<string, Reply>()
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), reply[at + 1] ?? null)
  const texts = (field: string) => {
    const found = fields.get(field)
    return Array.isArray(found) ? found.map(String) : []
  }
  const [marks, passwords] = [
    texts('passwords').filter(isMark),
    texts('passwords').filter((one) => !isMark(one)),
  ]
  const [text] = marks
  if (text === undefined)
    return new RekeyError(
      'not_found',
      `the user ${name} has no mark of Rekey: its passwords were reset, or it was made anew. Which generation uses it is not known; ${SEE}`,
    )
  const mark = markIn(name, text)
  if (!mark || marks.length > 1)
    return new RekeyError(
      'foreign_writer',
      `the user ${name} has ${mark ? 'more than one mark' : 'the mark of another user'}: somebody wrote it by hand; ${SEE}`,
    )
  // Whether it is on is ours; what it may do, in whatever fields this version has, is not.
  const flags = texts('flags').filter((flag) => !['on', 'off', 'nopass'].includes(flag))
  const permissions = [...fields].filter(([field]) => field !== 'flags' && field !== 'passwords')
  return {
    name,
    isOn: texts('flags').includes('on'),
    passwords,
    mark,
    text,
    permissions: new Map([
      ['flags', flags.toSorted().join(' ')],
      ...permissions.map(([field, value]) => [field, JSON.stringify(value)] as const),
    ]),
  }
}

/** They take turns, so neither may do what the other may not. */
export function expectSame([one, other]: User[]): void {
  if (!one || !other) return
  const fields = new Set([...one.permissions.keys(), ...other.permissions.keys()])
  const different = [...fields].filter((field) => one.permissions.get(field) !== other.permissions.get(field))
  if (different.length > 0)
    throw new RekeyError(
      'roles_differ',
      `${one.name} and ${other.name} have different ${different.join(', ')}: give both the same with ACL SETUSER`,
    )
}

/** Who is logged in as which user, as `CLIENT LIST` shows it. */
export function sessionsIn(list: string, tryName: string): Map<string, Session[]> {
  const sessions = new Map<string, Session[]>()
  for (const line of list.split('\n')) {
    const fields = new Map(line.split(' ').map((pair) => pair.split('=', 2) as [string, string]))
    const [user, id] = [fields.get('user'), fields.get('id')]
    if (user === undefined || id === undefined) continue
    const known = sessions.get(user) ?? []
    sessions.set(user, [...known, { id, isTry: fields.get('name') === tryName }])
  }
  return sessions
}
