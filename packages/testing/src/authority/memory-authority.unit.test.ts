import { Secret } from '@rekey/contracts'
import { memoryWay } from '../store/memory-way.ts'
import { testAuthority } from './kit.ts'
import {
  type MemoryAccountOptions,
  memoryAccount,
  memoryAuthority,
  memoryProvider,
  mintInto,
} from './memory-authority.ts'

const unsuitable = Secret.of('planted-too-short')

const given = (options: MemoryAccountOptions) => async () => {
  const account = memoryAccount({ takes: (value) => !value.equals(unsuitable), ...options })
  const way = memoryWay()
  return {
    authority: memoryAuthority(account, way),
    another: memoryAuthority(account),
    faults: way.faults,
    refusalLagMs: account.refusalLagMs,
    foreignInstall: async (value: { generation: number; value: Secret }) =>
      void account.held.push({ ...value, suspended: false }),
    unsuitable,
  }
}

const givenProvider = (options: MemoryAccountOptions) => async () => {
  const account = memoryAccount(options)
  const way = memoryWay()
  const keyIds = new Map<number, string>()
  // Longer than any pause between two requests of one test here.
  const rules = { keyIdOf: (generation: number) => keyIds.get(generation), keptWithinMs: 60 }
  return {
    authority: memoryProvider(account, way, rules),
    another: memoryProvider(account, memoryWay(), rules),
    faults: way.faults,
    refusalLagMs: account.refusalLagMs,
    provider: {
      keep: ({ generation, keyId }: { generation: number; keyId: string }) =>
        void keyIds.set(generation, keyId),
      foreignMint: async () => mintInto(account).keyId,
      tellsForeign: true,
      use: async (value: Secret) => {
        const slot = account.held.find((one) => one.value.equals(value))
        if (slot?.minted) slot.minted.usedAt = account.now()
      },
    },
  }
}

testAuthority('memory', given({}))
testAuthority('memory with one slot', given({ slots: 1 }))
testAuthority('memory with a lag', given({ refusalLagMs: 30 }))
testAuthority('memory that makes the values', givenProvider({ slots: 3 }))
testAuthority('memory that makes the values, with one slot', givenProvider({ slots: 1 }))
testAuthority('memory that makes the values, with a lag', givenProvider({ refusalLagMs: 30 }))
