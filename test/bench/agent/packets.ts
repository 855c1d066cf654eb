import { execFileSync } from 'node:child_process'

/** Packets that a process has sent and received on the connections that are open now, by port of the other side; undefined: it cannot be seen. */
export function packetsOf(pid: number): Map<number, number> | undefined {
  let text: string
  try {
    text = execFileSync('ss', ['-tinpHO', 'state', 'established'], { encoding: 'utf8', stdio: 'pipe' })
  } catch {
    return undefined
  }
  const packets = new Map<number, number>()
  for (const line of text.split('\n').filter((row) => row.includes(`pid=${pid},`))) {
    const port = Number(/\s\S+:\d+\s+\S+:(\d+)\s/.exec(line)?.[1])
    const count = ['segs_out', 'segs_in'].reduce(
      (sum, name) => sum + Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)?.[1] ?? 0),
      0,
    )
    packets.set(port, (packets.get(port) ?? 0) + count)
  }
  return packets
}
