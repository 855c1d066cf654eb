import { styleText } from 'node:util'

/** The world of one run of the command line. Tests give another one. */
export type Terminal = {
  out(text: string): void
  err(text: string): void
  /** All of stdin. */
  input(): Promise<string>
  env: NodeJS.ProcessEnv
  colour: boolean
}

export type Tone = 'good' | 'bad' | 'attention' | 'faint'

const STYLE = { good: 'green', bad: 'red', attention: 'yellow', faint: 'dim' } as const

export function tint(terminal: Terminal, tone: Tone, text: string): string {
  return terminal.colour ? styleText(STYLE[tone], text, { validateStream: false }) : text
}

/** Text from elsewhere, without what could steer a terminal. */
export function plain(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, '')
}

export function processTerminal(): Terminal {
  const { NO_COLOR, FORCE_COLOR } = process.env
  return {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    async input() {
      const chunks: Buffer[] = []
      for await (const chunk of process.stdin) chunks.push(chunk)
      return Buffer.concat(chunks).toString('utf8')
    },
    env: process.env,
    colour: !NO_COLOR && (FORCE_COLOR !== undefined || process.stdout.isTTY === true),
  }
}
