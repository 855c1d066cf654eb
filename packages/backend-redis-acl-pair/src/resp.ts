/** What a text of a server means that has no word of its own. */
const MEANINGS = {
  /** It has no room for another client. */
  full: /^ERR max number of clients/,
  /** A rule of ACL SETUSER did not hold, so that none was followed: the mark that was looked at is not there any more. */
  changed: /^ERR Error in ACL SETUSER modifier/,
  noAclFile: /not configured to use an ACL file/,
  notSaved: /error trying to save the ACLs/,
}
export type Meaning = keyof typeof MEANINGS

/** A refusal of the server. Of its text only the first word is kept, and what it means: it can quote what was sent. */
export class RedisError extends Error {
  readonly word: string
  readonly meaning: Meaning | undefined
  /** The command's name, as we sent it. */
  command = ''
  constructor(text: string) {
    const word = /^[A-Z]{2,20}(?= |$)/.exec(text)?.[0] ?? 'ERR'
    super(word)
    this.word = word
    this.meaning = (Object.keys(MEANINGS) as Meaning[]).find((meaning) => MEANINGS[meaning].test(text))
  }
}

export type Reply = string | number | null | RedisError | Reply[]

export function encoded(command: readonly string[]): string {
  return `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`
}

/** The first reply in these bytes, and where the next one begins. Undefined: it is not complete yet. */
export function decoded(bytes: Buffer, from = 0): { reply: Reply; next: number } | undefined {
  const end = bytes.indexOf('\r\n', from)
  if (end < 0) return undefined
  const line = bytes.toString('utf8', from + 1, end)
  const next = end + 2
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case '+':
      return { reply: line, next }
    case '-':
      return { reply: new RedisError(line), next }
    case ':':
      return { reply: Number(line), next }
    case '$': {
      const length = Number(line)
      if (length < 0) return { reply: null, next }
      if (bytes.length < next + length + 2) return undefined
      return { reply: bytes.toString('utf8', next, next + length), next: next + length + 2 }
    }
    case '*': {
      if (Number(line) < 0) return { reply: null, next }
      const items: Reply[] = []
      let at = next
      for (let left = Number(line); left > 0; left -= 1) {
        const item = decoded(bytes, at)
        if (!item) return undefined
        items.push(item.reply)
        at = item.next
      }
      return { reply: items, next: at }
    }
    default:
      throw new RedisError('PROTOCOL')
  }
}
