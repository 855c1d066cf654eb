#!/usr/bin/env node
import { run } from './run.ts'
import { processTerminal } from './terminal.ts'

// A reader such as `head` may leave early. What was ordered goes on, and the exit code stays true.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

process.exitCode = await run(process.argv.slice(2), processTerminal())
