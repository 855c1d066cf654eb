#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Before anything else is loaded: who holds a leaked key waits for this start, and it takes half the time.
enableCompileCache()
const [{ run }, { processTerminal }] = await Promise.all([import('./run.ts'), import('./terminal.ts')])

// A reader such as `head` may leave early. What was ordered goes on, and the exit code stays true.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

process.exitCode = await run(process.argv.slice(2), processTerminal())
