import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { fromHttp } from '@aws-sdk/credential-provider-http'
import { stackPython } from '@rekey/local'

/** The AWS endpoint of tests answers some dozens of calls a second, and the agent is among those who wait. */
const THINK_MS = 300
const PYTHON = fileURLToPath(new URL('sdk-clients.py', import.meta.url))

export type SdkPlace = {
  endpoint: string
  region: string
  /** As AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE say it. */
  fullUri: string
  tokenFile: string
}

export type SdkTally = { ok: number; failures: string[] }

/** Applications that call AWS, each with one client for its whole life. */
export type SdkClients = {
  /** By client, the id of the key that its last call was signed with. */
  keys: Map<string, string>
  stop(): Promise<SdkTally>
}

/** `asking` is called when a client asks for a key, and what it returns when it was given one. */
export function startJavaScriptClients(
  place: SdkPlace,
  count: number,
  asking: () => (accessKeyId: string) => void,
): SdkClients {
  const keys = new Map<string, string>()
  const tally: SdkTally = { ok: 0, failures: [] }
  let going = true
  const loops = Array.from({ length: count }, async (_, client) => {
    const provider = fromHttp({
      awsContainerCredentialsFullUri: place.fullUri,
      awsContainerAuthorizationTokenFile: place.tokenFile,
    })
    const sts = new STSClient({
      endpoint: place.endpoint,
      region: place.region,
      // A retry of the call would hide what it met.
      maxAttempts: 1,
      credentials: async () => {
        const given = asking()
        const found = await provider()
        given(found.accessKeyId)
        return found
      },
    })
    sts.middlewareStack.add(
      (next) => (step) => {
        const { headers } = step.request as { headers: Record<string, string> }
        keys.set(`js ${client}`, /Credential=(\w+)/.exec(headers.authorization ?? '')?.[1] ?? '')
        return next(step)
      },
      { step: 'deserialize', name: 'seen' },
    )
    while (going) {
      try {
        await sts.send(new GetCallerIdentityCommand({}))
        tally.ok += 1
      } catch (error) {
        tally.failures.push(String(error))
      }
      await delay(THINK_MS)
    }
    sts.destroy()
  })
  return {
    keys,
    async stop() {
      going = false
      await Promise.all(loops)
      return tally
    },
  }
}

export async function startPythonClients(place: SdkPlace, count: number): Promise<SdkClients> {
  const python = await stackPython(() => {})
  const child = spawn(python, ['-B', PYTHON, place.endpoint, place.region, String(count)], {
    env: {
      PATH: process.env.PATH,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: place.fullUri,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: place.tokenFile,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const keys = new Map<string, string>()
  let tally: SdkTally = { ok: 0, failures: ['it told nothing'] }
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line)
    if (said.tally) tally = said.tally
    else keys.set(`python ${said.client}`, said.key)
  })
  return {
    keys,
    async stop() {
      child.stdin.end()
      await ended
      return tally
    },
  }
}
