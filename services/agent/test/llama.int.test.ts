import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { ensureLlamaServer, freePort } from '@rekey/local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Haproxy, startHaproxy } from './haproxy.ts'
import { sampleValue, startNodeAt } from './node-bench.ts'
import { startStreams } from './streams.ts'
import { until } from './until.ts'

const WORDS = 120

/** A model server that can neither reload its keys nor drain. In the deep run: it takes minutes to compile. */
describe.runIf(process.env.REKEY_DEEP === '1')('llama.cpp behind HAProxy', () => {
  let model: ChildProcess
  let node: Awaited<ReturnType<typeof startNodeAt<Haproxy>>>
  beforeAll(async () => {
    const llama = await ensureLlamaServer((line) => process.stderr.write(`${line}\n`))
    const port = await freePort()
    // Without keys of its own, where nobody but the gateway reaches it.
    const args = ['--model', llama.model, '--host', '127.0.0.1', '--port', `${port}`, '--parallel', '4']
    model = spawn(llama.binary, [...args, '--threads', '1', '--ctx-size', '8192'], { stdio: 'ignore' })
    const isUp = () =>
      fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    await until('the model is loaded', isUp)
    node = await startNodeAt(await startHaproxy({ model: `127.0.0.1:${port}` }))
    node.start()
  }, 1_800_000)
  afterAll(async () => {
    await node?.stop()
    if (model?.exitCode === null) {
      const ended = once(model, 'exit')
      model.kill('SIGKILL')
      await ended
    }
  })

  test('streams of words go on whole while their key changes ten times and dies, and the model is loaded once', async () => {
    await node.acked(node.order([1]))
    let presented = 1
    const streams = startStreams({
      url: node.gateway.url,
      count: 4,
      words: WORDS,
      key: () => sampleValue(presented).reveal(),
    })
    let survivors = 0
    for (let generation = 2; generation <= 11; generation += 1) {
      const old = sampleValue(generation - 1).reveal()
      await node.acked(node.order([generation - 1, generation]))
      await until('a stream runs that began with it', () => streams.runningWith(old) > 0)
      presented = generation
      // Nobody who still presents the old key is on the way; a stream that began with it runs, and it dies under that.
      await streams.begun()
      const ack = await node.acked(node.order([generation], { refuse: [generation - 1], floor: generation }))
      survivors += streams.runningWith(old)
      expect(ack.refusals).toEqual([{ generation: generation - 1, tried: 'refused' }])
      expect(await node.statusOf(generation - 1)).toBe(401)
      expect(await node.statusOf(generation)).toBe(200)
    }
    const { whole, broken } = await streams.stop()
    process.stderr.write(
      `llama.cpp: ${whole} streams whole, ${survivors} of them over the death of their key\n`,
    )
    expect(broken).toEqual([])
    expect(survivors).toBeGreaterThanOrEqual(10)
    // It never ended, so what it answered it answered from one loading.
    expect(model.exitCode).toBeNull()
  })
})
