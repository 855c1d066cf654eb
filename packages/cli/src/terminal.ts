import { styleText } from 'node:util'
import { Complaint } from './complaint.ts'

/** The world of one run of the command line. Tests give another one. */
export type Terminal = {
  out(text: string): void
  err(text: string): void
  /** All of stdin. */
  input(): Promise<Uint8Array>
  /** The same; at a terminal one paste, which is not shown. */
  hiddenInput(prompt: string): Promise<Uint8Array>
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
    input: allOfStdin,
    hiddenInput: (prompt) => (process.stdin.isTTY ? onePaste(process.stdin, prompt) : allOfStdin()),
    env: process.env,
    colour: !NO_COLOR && (FORCE_COLOR !== undefined || process.stdout.isTTY === true),
  }
}

async function allOfStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const ENTER = [0x0a, 0x0d]
const END_OF_TEXT = 0x04
const INTERRUPT = 0x03
const ERASE = [0x08, 0x7f]

/** A paste comes in pieces, and one of them may end with a line: only then, and silence, is it all. */
const SILENCE_MS = 150

/**
 * What is pasted or typed up to Enter or Ctrl-D, and shown to nobody. Raw mode ends only when nothing comes any more: what came
 * after it would be shown, and run by the shell.
 */
export function onePaste(stdin: NodeJS.ReadStream, prompt: string): Promise<Uint8Array> {
  process.stderr.write(prompt)
  stdin.setRawMode(true)
  const bytes: number[] = []
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const finish = (end: () => void) => {
      clearTimeout(timer)
      stdin.off('data', heard).pause()
      stdin.setRawMode(false)
      process.stderr.write('\n')
      end()
    }
    const heard = (chunk: Buffer) => {
      clearTimeout(timer)
      for (const byte of chunk)
        if (ERASE.includes(byte)) bytes.pop()
        else bytes.push(byte)
      const last = bytes.at(-1) ?? 0
      if (bytes.includes(INTERRUPT))
        finish(() => reject(new Complaint('interrupted', 'nothing was asked', '')))
      else if (ENTER.includes(last) || last === END_OF_TEXT)
        timer = setTimeout(
          () => finish(() => resolve(Uint8Array.from(bytes.filter((byte) => byte !== END_OF_TEXT)))),
          SILENCE_MS,
        )
    }
    stdin.on('data', heard)
    stdin.on('end', () => finish(() => resolve(Uint8Array.from(bytes))))
  })
}
