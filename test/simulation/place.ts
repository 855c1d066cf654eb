import type { Ground } from './ground.ts'
import type { CredentialPlan, Scenario } from './scenario.ts'
import { AuthorityServer } from './servers/authority-server.ts'

/** One credential as the world has it: what verifies it, who consumes it. */
export type Place = CredentialPlan & {
  authority: AuthorityServer
  isBalanced: boolean
  /** Its consumers are gone: nobody presents it any more. */
  isIdle: boolean
  /** How often an offboarding was ordered. */
  retirements: number
}

export type Places = Map<string, Place>

export function placesOn(ground: Ground, { credentials }: Scenario): Places {
  return new Map(
    credentials.map((plan) => {
      const { slots } = plan.plan
      const authority = new AuthorityServer(ground, { ...plan, slots })
      const isBalanced = ground.random.chance(0.5)
      return [plan.name, { ...plan, authority, isBalanced, isIdle: false, retirements: 0 }]
    }),
  )
}
