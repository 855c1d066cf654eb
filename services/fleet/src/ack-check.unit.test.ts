import { type Ack, proofPublicKey, Secret, signStatement } from '@rekey/contracts'
import { expect, test } from 'vitest'
import { stateOf } from '../test/fake-agent.ts'
import { verifyAck } from './ack-check.ts'
import { ProofKeys } from './proof-keys.ts'

const value = Secret.of('value-1-of-chat')
const node = 'spiffe://rekey.local/node/gw-1'
const sent = { state: stateOf(1, [1]), nonce: 'n', answered: false }
const context = { node: 'gw-1', spiffeId: node, session: 1, boot: 'b', sent }
const statement = { credential: 'chat', generation: 1, revision: 1, node, session: 1, boot: 'b', nonce: 'n' }
const ackWith = (signature: string): Ack => ({
  type: 'ack',
  credential: 'chat',
  revision: 1,
  session: 1,
  nonce: 'n',
  proofs: [{ generation: 1, signature, tried: 'accepted' }],
  refusals: [],
})
const key = proofPublicKey(value, 'chat', 1)

test.each([null, undefined, ''])(
  'a generation whose key is %j is proved by no signature at all',
  (missing) => {
    const keys = new Map([[1, missing]]) as unknown as Map<number, string>
    for (const signature of ['', 'made up', signStatement(value, statement)]) {
      expect(verifyAck(ackWith(signature), context, keys)).toMatchObject({
        fault: 'bad_proof',
        generation: 1,
      })
    }
  },
)

function answering(...answers: Record<number, string | null>[]) {
  const asked = { times: 0 }
  const ledger = {
    async proofKeys() {
      const answer = answers[Math.min(asked.times, answers.length - 1)] ?? {}
      asked.times += 1
      return new Map(Object.entries(answer).map(([generation, found]) => [Number(generation), found]))
    },
  }
  return { asked, keys: new ProofKeys(ledger) }
}

test('a key that is not there yet is asked for again, and one that is there is kept', async () => {
  const { asked, keys } = answering({ 1: null }, { 1: key })
  const before = await keys.of('chat', [1])
  expect(before.has(1)).toBe(false)
  expect(verifyAck(ackWith(signStatement(value, statement)), context, before)).toMatchObject({
    fault: 'bad_proof',
  })
  const after = await keys.of('chat', [1])
  expect(verifyAck(ackWith(signStatement(value, statement)), context, after)).toMatchObject({ proved: [1] })
  await keys.of('chat', [1])
  expect(asked.times).toBe(2)
})

test('a question that was asked before the key was written is asked once more', async () => {
  const { asked, keys } = answering({ 1: key, 2: null }, { 1: key, 2: key })
  const [first, second, third] = await Promise.all([
    keys.of('chat', [1]),
    keys.of('chat', [2]),
    keys.of('chat', [2]),
  ])
  expect([first.has(1), second.has(2), third.has(2)]).toEqual([true, true, true])
  expect(asked.times).toBe(2)
})
