import { z } from 'zod'
import {
  AlertRef,
  type Delivery,
  defineSource,
  distinct,
  fields,
  type Heard,
  Is,
  is,
  word,
} from '../source.ts'

/** Its parts become the path of a request. */
const FULL_NAME = /^[A-Za-z0-9_-]{1,100}\/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/

const Repository = z
  .string()
  .regex(FULL_NAME, 'write it as owner/name')
  .transform((name) => name.toLowerCase())

const settings = {
  /** Where GitHub's API is, and the token that may read alerts. Without it an alert's value is not asked for. */
  api: z
    .strictObject({
      url: z
        .url()
        .refine(isSafe, 'https, or http on this host: the token and the value pass it')
        .default('https://api.github.com'),
      tokenFile: z.string().min(1),
    })
    .optional(),
  /** Which credential the alerts of a type are about, by the type's slug or by its name: GitHub does not send the value. */
  alerts: z
    .array(
      z.strictObject({
        secretType: z.string().min(1).max(200),
        /** Only those of this repository; it comes before an entry without one. */
        repository: Repository.optional(),
        credential: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'the name of a credential'),
      }),
    )
    .superRefine(distinct((entry) => `${entry.secretType} ${entry.repository ?? ''}`))
    .default([]),
  deployments: z
    .array(z.strictObject({ repository: Repository, environment: z.string().min(1).max(200), is: Is }))
    .superRefine(distinct((entry) => `${entry.repository} ${entry.environment}`))
    .default([]),
}
type Settings = z.output<z.ZodObject<typeof settings>>

const About = z.object({
  repository: z.object({
    full_name: z.string().regex(FULL_NAME),
    html_url: is
      .text(300)
      .pipe(z.url({ protocol: /^https?$/ }))
      .optional()
      .catch(undefined),
  }),
})

/** What is not needed to act may be missing, or odd: an alert is not refused for that. */
const Alert = z.object({
  action: z.string().max(100),
  alert: z.object({
    number: AlertRef.shape.number,
    secret_type: is.text(200).catch('unknown'),
    secret_type_display_name: is.text(200).optional().catch(undefined),
    created_at: is.time.nullish().catch(undefined),
    updated_at: is.text(40).nullish().catch(undefined),
  }),
})

const Status = z.object({
  deployment_status: z.object({
    id: z.number().int(),
    state: z.string().max(40),
    environment: is.text(200),
    created_at: is.time,
  }),
  deployment: z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) }),
})

/** An alert that a human should act on now. Others tell that somebody did, or more about the same finding. */
const LEAKS = ['created', 'reopened', 'publicly_leaked']

export const github = defineSource({
  name: 'github',
  proof: { by: 'hmac', header: 'x-hub-signature-256' },
  settings,
  hear(delivery, section) {
    const event = delivery.header('x-github-event')
    switch (event) {
      case 'secret_scanning_alert':
        return hearAlert(delivery, section)
      case 'deployment_status':
        return hearStatus(delivery, section)
      case 'ping':
        return ignored('a ping: the secret is right')
      default:
        return ignored(`an event ${word(event)} asks for nothing`)
    }
  },
})

/**
 * Which value leaked is not in the delivery. It counts as seen when the alert was made, also where the alert is reopened or
 * found to be public later: the value is the same, and what was in use then is what it may be.
 */
function hearAlert({ body, header, receivedAt }: Delivery, { alerts }: Settings): Heard {
  const { action, alert } = fields(Alert, body)
  if (!LEAKS.includes(action)) return ignored(`an alert that is ${word(action)} asks for nothing`)
  const { owner, repository, url } = whereOf(body)
  const { number, secret_type: type } = alert
  const name = `${owner}/${repository}`.toLowerCase()
  const types = [type, alert.secret_type_display_name]
  const of = alerts.filter((entry) => types.includes(entry.secretType))
  const entry = of.find((one) => one.repository === name) ?? of.find((one) => one.repository === undefined)
  // Old servers send no times with some actions; then a delivery is known by its own id, which a redelivery keeps.
  const since = alert.updated_at ?? alert.created_at?.toISOString() ?? word(header('x-github-delivery'))
  return {
    kind: 'leak',
    leak: {
      type: 'credential.leaked',
      credential: entry?.credential ?? `github/${name}/${number}`,
      where: `${url ? `${url}/security/secret-scanning/${number}` : `alert ${number} of ${name}`} (secret type ${type.slice(0, 100)})`,
    },
    isNamed: entry !== undefined,
    origin: {
      source: `/github/${name}`,
      name: `secret-scanning/${number}/${action}/${since}`,
      at: alert.created_at ?? receivedAt,
    },
    alert: { owner, repository, number },
  }
}

function hearStatus({ body }: Delivery, { deployments }: Settings): Heard {
  const { deployment_status: status, deployment } = fields(Status, body)
  if (status.state !== 'success')
    return ignored(`a deployment in the state ${word(status.state)} is not done`)
  const { owner, repository } = whereOf(body)
  const name = `${owner}/${repository}`.toLowerCase()
  const entry = deployments.find((one) => one.repository === name && one.environment === status.environment)
  if (!entry) return ignored(`no workload is configured for ${name} in its environment ${status.environment}`)
  return {
    kind: 'change',
    change: {
      type: 'service.deployed',
      workload: entry.is.workload,
      environment: entry.is.environment,
      facts: { artifact: `pkg:github/${name}@${deployment.sha}` },
    },
    origin: { source: `/github/${name}`, name: `deployment-status/${status.id}`, at: status.created_at },
  }
}

function whereOf(body: unknown): { owner: string; repository: string; url?: string | undefined } {
  const { full_name: name, html_url: url } = fields(About, body).repository
  const [owner = '', repository = ''] = name.split('/')
  return { owner, repository, url }
}

function ignored(why: string): Heard {
  return { kind: 'ignored', why }
}

function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, search, hash } = new URL(text)
  if (username !== '' || search !== '' || hash !== '') return false
  return protocol === 'https:' || (protocol === 'http:' && /^(127\.[\d.]+|localhost|\[::1\])$/.test(hostname))
}
