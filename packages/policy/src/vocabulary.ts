import { readFileSync } from 'node:fs'

/** What control asks the policies with, in Cedar's own language. */
export const SCHEMA = readFileSync(new URL('../rekey.cedarschema', import.meta.url), 'utf8')

/** Every action of the schema that can be asked for; its groups (`view`, `order`, …) are for policies. */
export const ACTIONS = [
  'adopt',
  'apply',
  'approve',
  'contain',
  'diff',
  'excuse',
  'expedite',
  'hold',
  'node-gone',
  'node-token',
  'pause',
  'read',
  'recover',
  'release',
  'resume',
  'retire',
  'rollback',
  'rotate',
  'scan',
  'settle',
  'test',
  'who',
] as const
export type Action = (typeof ACTIONS)[number]

/** Orders: policies may ask for how much one is about, and that a second person agrees. */
const ORDERS = [
  'contain',
  'excuse',
  'expedite',
  'hold',
  'node-gone',
  'pause',
  'resume',
  'retire',
  'rollback',
  'rotate',
  'settle',
] as const satisfies Action[]

export function isOrder(action: Action): boolean {
  return ORDERS.some((order) => order === action)
}

/** What an order weighs, for policies. */
export type Weight = {
  /** Another person has agreed with it. */
  approved: boolean
  /** How many nodes it is about; with a break-glass token, all orders given under that token together. */
  blastRadius: number
}

/** Who asks, as an authenticator made sure of it. */
export type Principal = {
  type: 'User' | 'Certificate' | 'Operator' | 'BreakGlass'
  id: string
  /** Groups of the token. What they mean is in the policies' entities. */
  groups?: readonly string[]
}

/** What a request is about. */
export type Resource =
  | { type: 'System' }
  | { type: 'Credential'; id: string; workload: string; environment: string; owner: string }
  | { type: 'Node'; id: string }

/** A credential that does not exist, for which only who may act on every credential is told so. */
export const UNKNOWN_CREDENTIAL: Resource = {
  type: 'Credential',
  id: '(unknown)',
  workload: '',
  environment: '',
  owner: '',
}

export const PRINCIPAL_TYPES = [
  'User',
  'Certificate',
  'Operator',
  'BreakGlass',
] as const satisfies Principal['type'][]

/** As Cedar writes it: `Credential::"chat-key"`. */
export function nameOf({ type, id = SYSTEM_ID }: { type: string; id?: string }): string {
  return `${type}::${JSON.stringify(id)}`
}

export const SYSTEM_ID = 'rekey'
