import { RekeyError } from '@rekey/contracts'
import type { UserSeen } from './fence.ts'
import type { Reply } from './resp.ts'

/** A user as `ACL GETUSER` answers: names and values in turn. */
export type User = UserSeen & { name: string; permissions: string }

export function userOf(name: string, reply: Reply | undefined): User {
  if (!Array.isArray(reply))
    throw new RekeyError(
      'not_found',
      `there is no user ${name}: make both users of the pair, off, with the same permissions`,
    )
  const fields = new Map<string, Reply>()
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), reply[at + 1] ?? null)
  const texts = (field: string) => {
    const found = fields.get(field)
    return Array.isArray(found) ? found.map(String) : []
  }
  const permissions = ['commands', 'keys', 'channels', 'selectors'].map((field) => [field, fields.get(field)])
  return {
    name,
    isOn: texts('flags').includes('on'),
    digests: texts('passwords'),
    permissions: JSON.stringify(permissions),
  }
}

/** They take turns, so neither may do what the other may not. */
export function expectSame([one, other]: User[]): void {
  if (one && other && one.permissions !== other.permissions)
    throw new RekeyError('roles_differ', `${one.name} and ${other.name} have different permissions`)
}

/** How many connections of a user `CLIENT LIST` shows, but for those of this name. */
export function sessionsIn(list: string, user: string, butFor: string): number {
  return list.split('\n').filter((line) => {
    const fields = new Map(line.split(' ').map((pair) => pair.split('=', 2) as [string, string]))
    return fields.get('user') === user && fields.get('name') !== butFor
  }).length
}
