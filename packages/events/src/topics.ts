export const VERDICTS_TOPIC = 'rekey.verdicts.v1'
export const DEAD_LETTER_TOPIC = 'rekey.dead-letter.v1'

const CHANGES_TOPIC = /^rekey\.changes\.(.+)\.v1$/

/** Each emitter has its own topic, so that the broker's ACL says who may speak in its name. */
export function changesTopic(emitter: string): string {
  return `rekey.changes.${emitter}.v1`
}

/** The emitter that a topic belongs to. A topic named otherwise (INTAKE_TOPICS may list any) stands for itself. */
export function emitterOf(topic: string): string {
  return CHANGES_TOPIC.exec(topic)?.[1] ?? topic
}
