import type { Conductor } from './conductor.ts'
import type { Fault } from './faults.ts'
import type { Fleet } from './fleet.ts'
import type { Intake } from './intake.ts'
import type { ServingNode } from './node.ts'
import type { Process } from './process.ts'
import type { JobQueue } from './queue.ts'

export type Struck = {
  nodes: ServingNode[]
  fleets: Fleet[]
  conductors: Conductor[]
  intake: Intake
  auditor: { process: Process }
  queue: JobQueue
  /** A human declares a node gone, sooner or later. */
  declareGone: (node: ServingNode) => void
}

/** Faults that are an event of their own. False: it is no such fault, or there was nobody to be met by it. */
export function strikes(fault: Fault, struck: Struck): boolean {
  const node = 'node' in fault ? struck.nodes.find((n) => n.name === fault.node) : undefined
  switch (fault.kind) {
    case 'restart-agent':
      node?.restart(Math.min(fault.ms, 2_500))
      return true
    case 'reboot':
    case 'wipe':
      node?.powerOff(Math.min(fault.ms, 4_000), fault.kind === 'wipe')
      return true
    case 'lose-node':
      node?.powerOff(fault.ms)
      return true
    case 'leave':
      if (!node || node.isDown) return false
      node.powerOff('for good')
      struck.declareGone(node)
      return true
    case 'crash-fleet':
      struck.fleets[fault.fleet]?.kill(Math.min(fault.ms, 3_000))
      return true
    case 'crash-conductor':
      struck.conductors[fault.conductor]?.process.kill(fault.ms)
      return true
    case 'crash-intake':
      struck.intake.process.kill(Math.min(fault.ms, 3_000))
      return true
    case 'crash-auditor':
      struck.auditor.process.kill(fault.ms)
      return true
    case 'redis-flush':
      struck.queue.flush()
      return true
    case 'kafka-reset':
      struck.intake.reset()
      return true
    default:
      return false
  }
}
