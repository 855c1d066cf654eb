import { Secret } from '@rekey/contracts'
import { memoryWay } from '../store/memory-way.ts'
import { testAuthority } from './kit.ts'
import { type MemoryAccountOptions, memoryAccount, memoryAuthority } from './memory-authority.ts'

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

testAuthority('memory', given({}))
testAuthority('memory with one slot', given({ slots: 1 }))
testAuthority('memory with a lag', given({ refusalLagMs: 30 }))
