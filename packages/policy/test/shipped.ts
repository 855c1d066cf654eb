import { fileURLToPath } from 'node:url'
import { readPolicyFolder } from '../src/folder.ts'
import { loadPolicies } from '../src/policies.ts'

export const SHIPPED_DIR = fileURLToPath(new URL('../../../examples/policies/', import.meta.url))

export const shipped = () => loadPolicies(readPolicyFolder(SHIPPED_DIR))
