import { z } from 'zod'

const list = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** A pattern starts with `^`, which no topic name may hold; anything else is a list of names. */
const TopicChoice = z.string().transform((text, context): ((topic: string) => boolean) => {
  if (!text.startsWith('^')) {
    const names = new Set(list(text))
    if (names.size === 0) context.addIssue('name at least one topic, or a pattern that starts with ^')
    return (topic) => names.has(topic)
  }
  try {
    const pattern = new RegExp(text)
    return (topic) => pattern.test(topic)
  } catch {
    context.addIssue('not a regular expression')
    return z.NEVER
  }
})

export const Config = z.object({
  KAFKA_BROKERS: z
    .string()
    .transform(list)
    .refine((brokers) => brokers.length > 0, 'name at least one broker, as host:port'),
  DATABASE_URL: z.string().min(1),
  INTAKE_TOPICS: TopicChoice.prefault('^rekey\\.changes\\..+\\.v1$'),
  INTAKE_GROUP: z.string().min(1).default('rekey-intake'),
  /** How often to look for topics of new emitters. */
  INTAKE_TOPICS_CHECK_MS: z.coerce.number().int().min(100).default(5_000),
  /** After a crash, Kafka waits so long before it gives the partitions away. Brokers allow 6 s and more. */
  INTAKE_SESSION_MS: z.coerce.number().int().min(1_000).max(300_000).default(10_000),
  HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
})
