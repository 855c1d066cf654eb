import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '@rekey/contracts'
import { freePort } from '@rekey/local'
import { startNodeAt } from './agent-bench.ts'
import { outbound, type Subject } from './subject.ts'

const idOf = (generation: number) => `AKIABENCH${String(generation).padStart(11, '0')}`
const valueAt = (generation: number) =>
  Secret.of(
    JSON.stringify({
      Version: 1,
      AccessKeyId: idOf(generation),
      SecretAccessKey: `secret-of-generation-${generation}-${'x'.repeat(16)}`,
    }),
  )

/** Applications that ask the agent for the key, and AWS with the key that they were given, as an SDK does. AWS is played. */
export async function containerCredentials(): Promise<Subject> {
  const dead = new Set<string>()
  const sts = await startSts(dead)
  const dir = await mkdtemp(join(tmpdir(), 'rekey-container-'))
  const [port, tokenFile] = [await freePort(), join(dir, 'token')]
  const node = await startNodeAt(
    {
      adapter: { kind: 'container-credentials', port, tokenFile },
      async stop() {
        sts.stop()
        await rm(dir, { recursive: true, force: true })
      },
    },
    undefined,
    valueAt,
  )
  return outbound(node, {
    env: { AWS_ENDPOINT_URL: sts.url, AWS_REGION: 'us-east-1' },
    async ask() {
      try {
        const headers = { authorization: await readFile(tokenFile, 'utf8') }
        const given = await fetch(`http://127.0.0.1:${port}/credentials`, { headers })
        const { AccessKeyId } = (await given.json()) as { AccessKeyId?: string }
        const answer = await fetch(sts.url, {
          method: 'POST',
          headers: { authorization: `Credential=${AccessKeyId}` },
        })
        await answer.arrayBuffer()
        return answer.status === 200
      } catch {
        return false
      }
    },
    async revoke(old) {
      dead.add(idOf(old))
    },
    stop: () => node.stop(),
  })
}

/** What `sts:GetCallerIdentity` answers. It looks at a key's id alone. */
async function startSts(dead: ReadonlySet<string>): Promise<{ url: string; stop(): void }> {
  const server = createServer((request, response) => {
    const id = /Credential=(\w+)/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const isKnown = id.startsWith('AKIABENCH') && !dead.has(id)
    request.resume()
    response.writeHead(isKnown ? 200 : 403, { 'content-type': 'text/xml' })
    response.end(
      isKnown
        ? '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/bench</Arn><UserId>bench</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>'
        : '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>no such key</Message></Error><RequestId>0</RequestId></ErrorResponse>',
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}
