import type { Client } from './client.ts'
import type { Ground } from './ground.ts'
import type { ServingNode } from './node.ts'
import type { Place, Places } from './place.ts'

export type ConsumersOptions = {
  ground: Ground
  places: Places
  nodes: ServingNode[]
  /** Whether a rotation of this credential is under way. */
  isRotating: (credential: string) => boolean
}

/** Who uses credentials, and until when: requests of clients, and consumers that go away and come back. */
export class Consumers {
  readonly #options: ConsumersOptions

  constructor(options: ConsumersOptions) {
    this.#options = options
  }

  /** A client's requests, to whichever node is up. */
  send(client: Client): void {
    const { ground, places, nodes } = this.#options
    const { random } = ground
    ground.after(random.between(300, 900), () => {
      this.send(client)
      const presents = places.get(client.credential)?.isIdle ? undefined : client.presents
      const serving = nodes.filter((n) => !n.isDown && n.keepers.get(client.credential)?.gateway)
      if (!presents || serving.length === 0) return
      const keeper = random.pick(serving).keepers.get(client.credential)
      if (keeper?.gateway?.get(presents.generation) === presents.text)
        keeper.serve(presents.generation, random.between(5, 400))
    })
  }

  /** An offboarding was ordered, or called off. */
  retire(credential: string, isRetired: boolean): void {
    const { ground, places } = this.#options
    const place = places.get(credential)
    if (!place) return
    // Outbound nobody reports what readers do, so they are gone before anybody says so.
    const isSeen = place.plan.direction === 'inbound'
    place.retirements += isRetired ? 1 : 0
    if (!isRetired) this.#comeBack(place, place.retirements)
    else if (!isSeen) place.isIdle = true
    else
      ground.after(ground.random.between(0, 4_000), () => {
        place.isIdle = true
      })
  }

  /** Consumers use it again once the offboarding is called off in full, unless it was ordered again meanwhile. */
  #comeBack(place: Place, called: number): void {
    const { ground, isRotating } = this.#options
    ground.after(200, () => {
      if (place.retirements !== called) return
      if (isRotating(place.name)) this.#comeBack(place, called)
      else place.isIdle = false
    })
  }
}
