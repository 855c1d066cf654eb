import type { RequestListener } from 'node:http'
import { digestOf, Secret } from '@rekey/contracts'
import { drip, plantedSecret, safeErrorOf, startHttpServer } from '@rekey/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { startGithubApi } from '../test/github-api.ts'
import { givenFolder } from '../test/given.ts'
import { alertDigests } from './alert-value.ts'

const alert = { owner: 'octo', repository: 'chat', number: 42 }
const PATH = '/repos/octo/chat/secret-scanning/alerts/42'
const token = plantedSecret()
const value = plantedSecret()
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

function looking(url: string) {
  const folder = givenFolder()
  ends.push(folder.end)
  const tokenFile = folder.file('token', token.reveal())
  const digestOfAlert = alertDigests({ url, tokenFile })
  return (ms = 5_000) => digestOfAlert(alert, AbortSignal.timeout(ms))
}

async function lookingAt(handle: RequestListener) {
  const server = await startHttpServer(handle)
  ends.push(server.close)
  return looking(server.url)
}

test('gives the digest of the value that the alert is about', async () => {
  const api = await startGithubApi(token.reveal(), { [`/api/v3${PATH}`]: value.reveal() })
  ends.push(api.close)
  expect(await looking(`${api.url}/api/v3/`)()).toBe(digestOf(value.reveal()))
  expect(api.seen).toEqual([`GET /api/v3${PATH}`])
})

describe('says what is wrong, and nothing of token and value', () => {
  const body = JSON.stringify({ number: 42, secret: value.reveal() })
  const answers = (status: number, text: string, headers = {}): RequestListener => {
    return (_request, response) => response.writeHead(status, headers).end(text)
  }
  test.each<[string, RequestListener, string, number?]>([
    ['a token that may not', answers(403, body), 'permission_denied'],
    ['a token that is none', answers(401, body), 'permission_denied'],
    ['too many questions', answers(403, body, { 'x-ratelimit-remaining': '0' }), 'throttled'],
    ['too many at once', answers(403, body, { 'retry-after': '9' }), 'throttled'],
    ['no alert', answers(404, body), 'not_found'],
    ['a fault', answers(502, body), 'backend_unavailable'],
    ['an alert without its value', answers(200, '{"number":42,"secret":null}'), 'bad_response'],
    ['another alert', answers(200, JSON.stringify({ number: 43, secret: value.reveal() })), 'bad_response'],
    ['half an answer', answers(200, body.slice(0, -3)), 'bad_response'],
    ['an endless answer', answers(200, `{"secret":"${value.reveal().repeat(8_000)}"}`), 'bad_response'],
    ['a slow answer', drip('application/json'), 'backend_unavailable', 300],
    ['silence', () => undefined, 'backend_timeout', 300],
  ])('%s', async (_what, handle, code, ms) => {
    const look = await lookingAt(handle)
    expect((await safeErrorOf(look(ms), token, value)).code).toBe(code)
  })

  test('nobody there', async () => {
    expect((await safeErrorOf(looking('http://127.0.0.1:1')(), token)).code).toBe('backend_unavailable')
  })

  test('a redirection, which is not followed', async () => {
    const asked: unknown[] = []
    const elsewhere = await startHttpServer((request, response) => {
      asked.push(request.headers.authorization)
      response.end(body)
    })
    ends.push(elsewhere.close)
    const look = await lookingAt(answers(301, '', { location: `${elsewhere.url}${PATH}` }))
    expect((await safeErrorOf(look(), token, value)).code).toBe('not_found')
    expect(asked).toEqual([])
  })

  test('no token', async () => {
    const look = alertDigests({ url: 'http://127.0.0.1:1', tokenFile: 'none' })
    expect((await safeErrorOf(look(alert, AbortSignal.timeout(1_000)), Secret.of('none-at-all'))).code).toBe(
      'invalid_configuration',
    )
  })
})
