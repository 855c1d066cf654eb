import { X509Certificate } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EnrolResponse } from '@rekey/contracts'
import { readIfPresent, writeDurably } from '@rekey/runtime'
import { z } from 'zod'

export const spiffeIdOf = (node: string) => `spiffe://rekey.local/node/${node}`

/** What enrolment leaves in the state folder, in the order in which it is written. */
const Enrolled = EnrolResponse.omit({ vault: true }).extend({
  roleId: z.string(),
  wrappedSecretId: z.string(),
})
export type Enrolled = z.infer<typeof Enrolled>

export type Identity = {
  privateKey: string
  certificate: string
  authorities: string
  spiffeId: string
  expiresAt: string
  vault: { roleId: string; secretId: string }
}

export type StoredIdentity = {
  privateKey: string | undefined
  enrolled: Enrolled | undefined
  secretId: string | undefined
}

/** The three files of an identity. Each step of the enrolment writes one, so that a crash shows where it was. */
export function identityFiles(stateDir: string) {
  const keyFile = join(stateDir, 'node.key')
  const enrolledFile = join(stateDir, 'enrolled.json')
  const secretIdFile = join(stateDir, 'vault-secret-id')

  return {
    saveKey: (pem: string) => writeDurably(keyFile, pem),
    saveEnrolled: (enrolled: Enrolled) =>
      writeDurably(enrolledFile, `${JSON.stringify(enrolled, null, 2)}\n`),
    saveSecretId: (secretId: string) => writeDurably(secretIdFile, secretId),

    /** Another enrolment ends what the one before was given: without this its secret id would be taken for the new one's. */
    forgetSecretId: () => rm(secretIdFile, { force: true }),

    async replaceCertificate(
      next: Pick<Enrolled, 'certificate' | 'authorities' | 'expiresAt'>,
    ): Promise<void> {
      const { enrolled } = await this.load()
      if (!enrolled) throw new Error('there is no certificate to replace')
      await this.saveEnrolled({ ...enrolled, ...next })
    },

    async load(): Promise<StoredIdentity> {
      const [privateKey, enrolledText, secretId] = await Promise.all(
        [keyFile, enrolledFile, secretIdFile].map(readIfPresent),
      )
      let enrolled: Enrolled | undefined
      if (enrolledText !== undefined) {
        try {
          enrolled = Enrolled.parse(JSON.parse(enrolledText))
        } catch {
          // The text holds no value, but nothing in it is worth printing either.
          throw new Error(`${enrolledFile} is damaged: remove the state folder and enrol anew`)
        }
      }
      return { privateKey, enrolled, secretId }
    },
  }
}

/** A whole identity, or undefined while any part of it is missing. */
export function completeIdentity(stored: StoredIdentity): Identity | undefined {
  const { privateKey, enrolled, secretId } = stored
  if (privateKey === undefined || enrolled === undefined || secretId === undefined) return undefined
  return {
    privateKey,
    certificate: enrolled.certificate,
    authorities: enrolled.authorities,
    spiffeId: enrolled.spiffeId,
    expiresAt: enrolled.expiresAt,
    vault: { roleId: enrolled.roleId, secretId },
  }
}

export const isExpired = (identity: { expiresAt: string }, nowMs: number) =>
  Date.parse(identity.expiresAt) <= nowMs

/** After two thirds of its life, which leaves a third for a fleet that is away. */
export function isDueForRenewal(identity: Pick<Identity, 'certificate'>, nowMs: number): boolean {
  const { validFrom, validTo } = new X509Certificate(identity.certificate)
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  return nowMs >= from + ((to - from) * 2) / 3
}

/** Whether a certificate is for this key, so that an answer to somebody else's request is noticed. */
export function certificateMatches(certificatePem: string, publicKeyPem: string): boolean {
  const own = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'pem' })
  return own.toString().trim() === publicKeyPem.trim()
}
