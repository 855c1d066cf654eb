import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** A Unix socket before another one: hands each command on, and can hold one to see what a crash there does. */
export async function startSocketGate(path: string, target: string) {
  const hooks = { before: async (_command: string) => {} }
  const commands: string[] = []
  const server = createServer((client) => {
    client.on('error', () => {})
    client.once('data', async (data) => {
      const command = data.toString()
      commands.push(command.trim())
      await hooks.before(command)
      const upstream = connect(target)
      upstream.on('error', () => client.destroy())
      upstream.pipe(client)
      upstream.write(command)
    })
  })
  server.listen(path)
  await once(server, 'listening')
  return { hooks, commands, stop: () => server.close() }
}
