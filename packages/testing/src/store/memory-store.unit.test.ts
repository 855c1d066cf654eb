import { testStore } from './kit.ts'
import { memorySecret, memoryStore, writeByHand } from './memory-store.ts'
import { memoryWay } from './memory-way.ts'

testStore('memory', async () => {
  const secret = memorySecret()
  const way = memoryWay()
  return {
    store: memoryStore(secret, way),
    another: memoryStore(secret),
    faults: way.faults,
    foreignPending: async (generation) => void secret.staged.set(generation, 'foreign'),
    foreignCurrent: async () =>
      void secret.versions.push({ version: (secret.versions.at(-1)?.version ?? 0) + 1 }),
    liveByHand: async (value) => writeByHand(secret, value),
    async liveValue() {
      const now = secret.versions.at(-1)
      return typeof now?.stored === 'object' ? now.stored.value : now?.live
    },
  }
})
