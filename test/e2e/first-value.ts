import type { ControlClient } from '@rekey/cli'
import { vi } from 'vitest'

/** The first value is made before any node is there; a node that joined afterwards proves it alone. */
export async function firstValueProved(control: ControlClient, credential: string, nodesMin: number) {
  await vi.waitFor(
    async () => {
      const { nodes } = await control.rotation(`${credential}-g1`)
      if (nodes.length < nodesMin || !nodes.every((n) => n.proved.includes(1)))
        throw new Error(`not every node has proved the first value: ${JSON.stringify(nodes)}`)
    },
    { timeout: 30_000, interval: 100 },
  )
}
