import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './mutants.ts'

const HELP = `Plants one bug after the other in a copy of the repository, and shows that the simulation finds it.

  node test/simulation/mutate.ts [--seeds N] [--only TEXT]

  --seeds N     worlds to live at the most for each bug (3000)
  --only TEXT   bugs whose name has this text
  --help        this text

Exit code: 0 every bug was found, 1 one was not.
`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3000' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

type Found = { seed: number; message: string }

if (values.help) process.stdout.write(HELP)
else {
  const wanted = MUTANTS.filter((mutant) => mutant.name.includes(values.only))
  const missed: string[] = []
  const queue = [...wanted]
  const worker = async () => {
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const found = await hunt(mutant, Number(values.seeds))
      if (!found) missed.push(mutant.name)
      const how = found ? `seed ${found.seed}: ${found.message}` : `NOT FOUND in ${values.seeds} worlds`
      process.stdout.write(`${mutant.name}\n    ${how}\n`)
    }
  }
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker))
  process.stdout.write(`${wanted.length - missed.length} of ${wanted.length} planted bugs found\n`)
  process.exitCode = missed.length > 0 ? 1 : 0
}

/** Undefined: not one of the worlds broke a promise. */
async function hunt({ name, file, search, replace }: Mutant, seeds: number): Promise<Found | undefined> {
  const copy = mkdtempSync(join(tmpdir(), 'rekey-mutant-'))
  try {
    copyInto(copy)
    const path = join(copy, file)
    const text = readFileSync(path, 'utf8')
    const parts = text.split(search)
    if (parts.length !== 2) throw new Error(`${name}: ${file} has the text ${parts.length - 1} times`)
    writeFileSync(path, parts.join(replace))
    return await liveIn(copy, seeds)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Everything that is ours; what is installed is shared. */
function copyInto(copy: string): void {
  for (const part of ['packages', 'services', 'infra', 'test'])
    cpSync(join(ROOT, part), join(copy, part), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.includes(`${sep}.turbo${sep}`),
    })
  cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
}

function liveIn(copy: string, seeds: number): Promise<Found | undefined> {
  const args = ['test/simulation/main.ts', '--seeds', String(seeds), '--stop']
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: copy, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      const seen = /^seed (\d+): (.*)$/m.exec(stdout)
      if (seen) resolve({ seed: Number(seen[1]), message: seen[2] ?? '' })
      else if (error) reject(new Error(`the simulation did not run: ${stderr}`))
      else resolve(undefined)
    })
  })
}
