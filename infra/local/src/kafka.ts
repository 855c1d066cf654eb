import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cached, type Progress } from './cache.ts'
import { CommandFailed, run } from './command.ts'
import { Complaint } from './complaint.ts'
import { ensureJava, ensureMaven } from './java.ts'
import { freePort, type Ports } from './port.ts'
import { forget, watch } from './reaper.ts'
import { nativeServer, type Server } from './server.ts'
import { brokerServes } from './topics.ts'

const pom = readFileSync(new URL('../recipes/kafka/pom.xml', import.meta.url), 'utf8')
const CLUSTER_ID = 'cmVrZXktbG9jYWwtMDAwMQ'

export type KafkaFiles = { java: string; dir: string }

/** The jars, a formatted data directory to copy, and a class archive that halves the time of each start. */
export async function prepareKafka(progress: Progress): Promise<KafkaFiles> {
  const java = await ensureJava(progress)
  const dir = await cached(
    {
      name: 'kafka',
      recipe: [pom, java.version, propertiesFile('DATA', 1, 2), CLUSTER_ID, jvm(true).join(' ')],
      notice: 'fetching Apache Kafka 4.3.1 from Maven Central (44 MB, half a minute)',
      async build(building, say) {
        const maven = await ensureMaven(say)
        await writeFile(join(building, 'pom.xml'), pom)
        const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib']
        const env = { ...process.env, ...java.env }
        await run(maven, ['-B', '-q', ...copy], { cwd: building, env }).catch((error: unknown) => {
          throw new Complaint(
            'Apache Kafka could not be fetched: see that this machine reaches Maven Central ' +
              `(${error instanceof CommandFailed ? firstError(error.output) : error}).`,
          )
        })
        await format(java.path, building)
        await archiveClasses(java.path, building)
        await rm(join(building, 'training'), { recursive: true, force: true })
      },
    },
    progress,
  )
  return { java: java.path, dir }
}

export async function kafkaServer(
  dir: string,
  ports: Ports,
  files: KafkaFiles,
): Promise<{ server: Server; brokers: string[] }> {
  const [port, controllerPort] = [await ports('kafka'), await ports('kafkaController')]
  const data = join(dir, 'data', 'kafka')
  const config = join(dir, 'data', 'kafka.properties')
  await cp(join(files.dir, 'formatted'), data, { recursive: true })
  await writeFile(config, propertiesFile(data, port, controllerPort))
  const broker = `127.0.0.1:${port}`
  const server = nativeServer({
    name: 'kafka',
    dir,
    // The class archive holds relative paths, so it is only good where it was made.
    cwd: files.dir,
    command: files.java,
    args: [...jvm(true), 'kafka.Kafka', config],
    stopSignal: 'SIGTERM',
    reapSignal: 'KILL',
    ready: () => brokerServes(broker),
  })
  return { server, brokers: [broker] }
}

function jvm(archive: boolean): string[] {
  return [
    ...['-Xms128m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    ...(archive ? ['-XX:SharedArchiveFile=kafka.jsa', '-Xlog:cds=off', '-Xlog:class+path=off'] : []),
    ...['-cp', 'lib/*', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
  ]
}

async function format(java: string, dir: string): Promise<void> {
  const config = join(dir, 'format.properties')
  await writeFile(config, propertiesFile(join(dir, 'formatted'), 9092, 9093))
  const tool = ['-cp', 'lib/*', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
  await run(java, [...tool, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config], {
    cwd: dir,
  })
}

/** Starts a broker once and keeps what its class loader learned. A Java that cannot do that only starts more slowly. */
async function archiveClasses(java: string, dir: string): Promise<void> {
  const data = join(dir, 'training')
  const config = join(dir, 'training.properties')
  const port = await freePort()
  await cp(join(dir, 'formatted'), data, { recursive: true })
  await writeFile(config, propertiesFile(data, port, await freePort()))
  const args = ['-XX:ArchiveClassesAtExit=kafka.jsa', ...jvm(false), 'kafka.Kafka', config]
  const child = spawn(java, args, { cwd: dir, detached: true, stdio: 'ignore' })
  const entry = `group ${child.pid ?? 0} KILL` as const
  watch(entry)
  let running = true
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  }).then(() => {
    running = false
  })
  const deadline = performance.now() + 60_000
  while (running && performance.now() < deadline && !(await brokerServes(`127.0.0.1:${port}`)))
    await delay(100)
  child.kill('SIGTERM')
  await Promise.race([exited, delay(60_000, undefined, { ref: false })])
  if (running) child.kill('SIGKILL')
  await exited
  forget(entry)
}

function propertiesFile(data: string, port: number, controllerPort: number): string {
  const lines: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    'group.initial.rebalance.delay.ms': 0,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    // A broker that was killed is let back in once its old session has ended: after 5 s here, 14 s by default.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
  }
  return Object.entries(lines)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

function firstError(output: string): string {
  return (
    output
      .split('\n')
      .find((line) => line.includes('ERROR'))
      ?.replace(/^.*ERROR\]?\s*/, '')
      .slice(0, 200) ?? ''
  )
}
