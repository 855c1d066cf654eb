const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u

/** CloudEvents' rule for strings: no control characters, lone surrogates, noncharacters (nor does the ledger store NUL). */
export function isPlainText(text: string): boolean {
  return !FORBIDDEN.test(text)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8(bytes: Buffer): string | undefined {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}
