/** Rekey's own workers and nodes. They carry out what somebody else decided. */
const WORKERS = ['auditor', 'conductor', 'control', 'fleet', 'intake', 'rekey', 'rotator']

export function isService(actor: string): boolean {
  return WORKERS.includes(actor) || actor.startsWith('node/')
}
