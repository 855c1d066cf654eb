import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { svidTemplate } from './svid-template.ts'

const template = svidTemplate('spiffe://prod.example/rekey/{workload}/{node}')

test('a SPIFFE ID that is made like the template names a workload and a node', () => {
  const found = { workload: 'chat', node: 'gw-1' }
  expect(template.read('spiffe://prod.example/rekey/chat/gw-1')).toEqual(found)
  expect(svidTemplate('spiffe://a_b-c.d/{node}/{workload}').read('spiffe://a_b-c.d/gw-1/chat')).toEqual(found)
})

test.each([
  ['another trust domain', 'spiffe://prod.example.evil/rekey/chat/gw-1'],
  ['a trust domain in capitals', 'spiffe://PROD.example/rekey/chat/gw-1'],
  ['a trust domain with a port', 'spiffe://prod.example:443/rekey/chat/gw-1'],
  ['a user', 'spiffe://x@prod.example/rekey/chat/gw-1'],
  ['another scheme', 'https://prod.example/rekey/chat/gw-1'],
  ['a scheme in capitals', 'SPIFFE://prod.example/rekey/chat/gw-1'],
  ['another path', 'spiffe://prod.example/Rekey/chat/gw-1'],
  ['a segment more', 'spiffe://prod.example/rekey/chat/gw-1/extra'],
  ['a slash more', 'spiffe://prod.example/rekey/chat/gw-1/'],
  ['a slash twice', 'spiffe://prod.example/rekey//chat/gw-1'],
  ['a segment less', 'spiffe://prod.example/rekey/gw-1'],
  ['the trust domain alone', 'spiffe://prod.example'],
  ['an empty node', 'spiffe://prod.example/rekey/chat/'],
  ['an empty workload', 'spiffe://prod.example/rekey//gw-1'],
  ['a node in capitals', 'spiffe://prod.example/rekey/chat/GW-1'],
  ['a percent-encoded slash', 'spiffe://prod.example/rekey/chat%2Fgw-2/gw-1'],
  ['a percent-encoded letter', 'spiffe://prod.example/rekey/chat/gw%2D1'],
  ['a way up', 'spiffe://prod.example/rekey/other/../chat/gw-1'],
  ['a way up in place of a name', 'spiffe://prod.example/rekey/../gw-1'],
  ['a query', 'spiffe://prod.example/rekey/chat/gw-1?node=gw-2'],
  ['a fragment', 'spiffe://prod.example/rekey/chat/gw-1#x'],
  ['a line break at its end', 'spiffe://prod.example/rekey/chat/gw-1\n'],
  ['a NUL', 'spiffe://prod.example/rekey/chat/gw-1\0'],
  ['a space', ' spiffe://prod.example/rekey/chat/gw-1'],
  ['a placeholder', 'spiffe://prod.example/rekey/{workload}/{node}'],
  ['a letter that looks like another', 'spiffe://prod.example/rekey/ch\u0430t/gw-1'],
  ['a name of 64 letters', `spiffe://prod.example/rekey/chat/${'n'.repeat(64)}`],
  ['nothing', ''],
])('an ID with %s is nobody', (_what, id) => {
  expect(template.read(id)).toBeUndefined()
})

test('an ID of another length than SPIFFE allows is nobody', () => {
  const long = svidTemplate(`spiffe://prod.example/${'x'.repeat(2000)}/{workload}/{node}`)
  expect(long.read(`spiffe://prod.example/${'x'.repeat(2000)}/chat/gw-1`)).toBeDefined()
  expect(long.read(`spiffe://prod.example/${'x'.repeat(2000)}/chat/${'n'.repeat(60)}`)).toBeUndefined()
})

test.each([
  ['spiffe://prod.example/rekey/{node}', /\{workload\} once/],
  ['spiffe://prod.example/{workload}/{node}/{node}', /\{node\} once/],
  ['spiffe://prod.example/rekey/{workload}-{node}', /no segment/],
  ['spiffe://prod.example/rekey/{workload}/node-{node}', /no segment/],
  ['spiffe://prod.example/rekey/{Workload}/{node}', /no segment/],
  ['spiffe://prod.example/a%20b/{workload}/{node}', /no segment/],
  ['spiffe://prod.example/../{workload}/{node}', /no segment/],
  ['spiffe://prod.example//{workload}/{node}', /no segment/],
  ['spiffe://prod.example/{workload}/{node}/', /no segment/],
  ['spiffe://prod.example/{workload}/{node}?x', /no segment/],
  ['spiffe://Prod.example/{workload}/{node}', /lower case/],
  ['spiffe://{workload}/{node}', /lower case/],
  ['spiffe:///{workload}/{node}', /lower case/],
  ['spiffe://prod.example', /lower case/],
  ['prod.example/{workload}/{node}', /lower case/],
])('%s is no template', (text, why) => {
  expect(() => svidTemplate(text)).toThrow(why)
})

test('the files of examples/spire belong together', () => {
  const read = (name: string) => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), 'utf8')
  const value = (name: string, field: RegExp) => field.exec(read(name))?.[1] ?? ''
  const known = svidTemplate(value('spire/fleet.env', /^FLEET_SVID_ID=(.+)$/m))
  expect(known.read(value('spire/register.sh', /-spiffeID (\S+)/))).toEqual({
    node: value('spire/agent.yaml', /^node: (.+)$/m),
    workload: value('chat-gateway/workload.yaml', /name: ([a-z-]+)/),
  })
  const [folder, bundle] = [/^cert_dir = "(.+)"$/m, /^svid_bundle_file_name = "(.+)"$/m]
  expect(value('spire/fleet.env', /^FLEET_SVID_BUNDLE_FILE=(.+)$/m)).toBe(
    `${value('spire/helper.conf', folder)}/${value('spire/helper.conf', bundle)}`,
  )
})
