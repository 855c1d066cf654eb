import type { InventoryPlace } from '@rekey/contracts'
import { z } from 'zod'

const VAULT = /^vault:([a-z0-9][a-z0-9-]*)(?:\/([A-Za-z0-9_-][A-Za-z0-9_./-]*?))?\/?$/
const AWS = /^aws:([a-z]{2}(?:-[a-z]+)+-\d)(?:\/([A-Za-z0-9_+=.@/-]+))?$/

const IAM = /^iam:([A-Za-z0-9_+=.@-]{1,64})$/

/**
 * `vault:secret/team-a,aws:eu-central-1/prod/,iam:reports`: a folder of a mount, the beginning of names in a region, the access
 * keys of a user.
 */
export const Places = z.string().transform((text, context): InventoryPlace[] =>
  text.split(',').flatMap((part): InventoryPlace[] => {
    const [, mount, folder = ''] = VAULT.exec(part.trim()) ?? []
    if (mount !== undefined && !folder.includes('..'))
      return [{ kind: 'vault-kv', mount, prefix: folder.replace(/\/+$/, '') }]
    const [, region, prefix = ''] = AWS.exec(part.trim()) ?? []
    if (region !== undefined) return [{ kind: 'aws-secrets-manager', region, prefix }]
    const [, user] = IAM.exec(part.trim()) ?? []
    // IAM is one for all regions.
    if (user !== undefined) return [{ kind: 'aws-iam-access-key', user, region: 'us-east-1', prefix: '' }]
    context.addIssue({
      code: 'custom',
      message: `"${part.trim()}" is no place, such as vault:secret/team-a or aws:eu-central-1/prod/`,
    })
    return []
  }),
)
