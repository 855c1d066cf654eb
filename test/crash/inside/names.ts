import type { Plan } from '../plan.ts'

/** Labels say what is the same in every journey of every world: roles for generations, short names for the rest. */
export function role(generation: number, plan: Plan): 'new' | 'old' {
  return generation === plan.generation ? 'new' : 'old'
}

/** `accept` or `proved` as roles, such as `old+new`. */
export function roles(generations: number[], plan: Plan): string {
  return [...new Set(generations.map((generation) => role(generation, plan)))].toSorted().reverse().join('+')
}

export function rotationOf(plan: Plan): string {
  return `${plan.credential}-g${plan.generation}`
}

/** An effect's key without its rotation, such as `destroy.vault-old`; revisions differ, and are left out. */
export function effectName(key: string, plan: Plan): string {
  const prefix = `${rotationOf(plan)}.`
  if (!key.startsWith(prefix)) return 'other'
  return key
    .slice(prefix.length)
    .replace(/-g(\d+)/g, (_, generation) => `-${role(Number(generation), plan)}`)
    .replace(/\br\d+/g, 'r')
}

export function shortened(text: string, plan: Plan): string {
  return plan.names
    .reduce((short, [long, name]) => short.replaceAll(long, name), text)
    .replace(/\b(key)\/(\d+)\b/g, (_, key, generation) => `${key}/${role(Number(generation), plan)}`)
    .replace(/=\d+/g, '')
}
