import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectIam, connectSecretsInventory, connectSecretsManager } from '@rekey/backend-aws'
import { connectVault, withToken } from '@rekey/backend-vault'
import { Secret } from '@rekey/contracts'
import { plantedSecret } from '@rekey/testing'
import { afterAll, expect, inject, test } from 'vitest'
import { type Backends, list } from './inventory.ts'

const { vaultAddr, vaultRootToken, awsEndpoint, awsRegion, identitiesDir } = inject('stack')

/** What one of Rekey's identities may list. */
function as(service: string): Backends & { close(): void } {
  const file = (name: string) => join(identitiesDir, service, name)
  const vault = connectVault({
    addr: vaultAddr,
    roleId: readFileSync(file('vault-role-id'), 'utf8').trim(),
    secretIdFile: file('vault-secret-id'),
  })
  const secrets = connectSecretsInventory({
    region: awsRegion,
    endpoint: awsEndpoint,
    credentialsFile: file('aws-credentials'),
  })
  const iam = connectIam({
    region: awsRegion,
    endpoint: awsEndpoint,
    credentialsFile: file('aws-credentials'),
  })
  return {
    vault,
    secrets: () => secrets,
    iam: () => iam,
    close() {
      iam.close()
      vault.close()
      secrets.close()
    },
  }
}

const rotator = as('rotator')
const prober = as('prober')
const root = withToken({ addr: vaultAddr, token: Secret.of(vaultRootToken) })
afterAll(() => {
  for (const one of [rotator, prober, root]) one.close()
})

const soon = () => AbortSignal.timeout(30_000)

test('the rotator lists a folder of Vault by names alone, however deep', async () => {
  const folder = `scan/${randomUUID()}`
  const paths = ['one', 'two/three', 'two/four/five'].map((path) => `${folder}/${path}`)
  for (const path of paths) await root.kvWrite('secret', path, { value: plantedSecret().reveal() })
  const found = await list({ kind: 'vault-kv', mount: 'secret', prefix: folder }, rotator, soon())
  expect(found.error).toBeNull()
  expect(found.names.map(({ name }) => name).sort()).toEqual(paths.toSorted())
  expect(JSON.stringify(found)).not.toContain('planted')
})

test('the rotator lists a region of Secrets Manager page by page, with dates', async () => {
  const prefix = `scan-${randomUUID()}/`
  const client = connectSecretsManager({
    region: awsRegion,
    endpoint: awsEndpoint,
    credentialsFile: join(identitiesDir, 'rotator', 'aws-credentials'),
  })
  for (let n = 0; n < 105; n++) await client.create(`${prefix}${n}`, randomUUID(), plantedSecret())
  client.close()
  const found = await list({ kind: 'aws-secrets-manager', region: awsRegion, prefix }, rotator, soon())
  expect(found.error).toBeNull()
  expect(found.names).toHaveLength(105)
  expect(
    found.names.every(({ changedAt }) => changedAt !== null && !Number.isNaN(Date.parse(changedAt))),
  ).toBe(true)
  expect(JSON.stringify(found)).not.toContain('planted')
})

test('who may not list hears which right is missing', async () => {
  const inVault = await list({ kind: 'vault-kv', mount: 'secret', prefix: 'scan' }, prober, soon())
  expect(inVault.error).toContain('the capability list on secret/metadata/*')
  const inAws = await list({ kind: 'aws-secrets-manager', region: awsRegion, prefix: '' }, prober, soon())
  expect(inAws.error).toContain('the action secretsmanager:ListSecrets')
})

test('a mount that is not there is said, and is not an empty one', async () => {
  const found = await list(
    { kind: 'vault-kv', mount: 'not-mounted', prefix: '' },
    { ...rotator, vault: root },
    soon(),
  )
  expect(found.error).toContain('nothing is mounted at not-mounted')
})
