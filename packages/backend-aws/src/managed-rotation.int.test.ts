import { testAuthority } from '@rekey/testing'
import { inject } from 'vitest'
import { givenRotatedSecret } from '../test/given-rotated-secret.ts'

testAuthority('aws-managed-rotation', () => givenRotatedSecret(inject('stack')))
