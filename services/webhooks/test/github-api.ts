import { startHttpServer, type TestServer } from '@rekey/testing'

/** What GitHub's API says of alerts: the value of each, and to whom. */
export type GithubApi = TestServer & {
  seen: string[]
  answer(status: number, body: string): void
  heal(): void
}

export async function startGithubApi(token: string, values: Record<string, string>): Promise<GithubApi> {
  const seen: string[] = []
  let fixed: { status: number; body: string } | undefined
  const server = await startHttpServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    const reply = (status: number, body: string) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    if (fixed) return reply(fixed.status, fixed.body)
    if (request.headers.authorization !== `Bearer ${token}`)
      return reply(401, '{"message":"Bad credentials"}')
    const value = values[request.url ?? '']
    if (value === undefined) return reply(404, '{"message":"Not Found"}')
    const number = Number(request.url?.split('/').at(-1))
    return reply(
      200,
      JSON.stringify({ number, state: 'open', secret_type: 'rekey_gateway_key', secret: value }),
    )
  })
  return {
    ...server,
    seen,
    answer(status, body) {
      fixed = { status, body }
    },
    heal() {
      fixed = undefined
    },
  }
}
