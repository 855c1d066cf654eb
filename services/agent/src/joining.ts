import { X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import type { AgentConfig } from './config.ts'
import { EnrolmentError } from './enrolment-error.ts'
import { certificateMatches } from './identity.ts'
import { publicKeyOf } from './private-key.ts'

const ANOTHER_TOKEN = 'ask for a new join token'

/** What a node shows the fleet to come in, read from its files. */
export type Pass = { joinToken: string } | { cert: string; key: string }

/**
 * How this node comes in. A join token is made by a human and works once; a certificate of SPIRE (an X.509-SVID) is replaced
 * again and again by somebody beside the agent, and is good for any number of enrolments.
 */
export type Joining = {
  /** Read anew at each try. */
  read(): Promise<Pass>
  /** What a human can do about a refusal. */
  readonly remedy: string
  /** Why the fleet did not take it, by its answer. */
  refused(status: number, reason: string | undefined): EnrolmentError
  /** It has been used. */
  done(): Promise<void>
}

export function joiningOf(config: Pick<AgentConfig, 'joinTokenFile' | 'svid'>): Joining {
  return config.svid ? bySvid(config.svid) : byToken(config.joinTokenFile)
}

function byToken(file: string | undefined): Joining {
  return {
    remedy: ANOTHER_TOKEN,
    async read() {
      if (file === undefined)
        throw new EnrolmentError(
          'the node is not enrolled, and neither joinTokenFile nor svid is configured',
          {
            transient: false,
          },
        )
      try {
        return { joinToken: (await readFile(file, 'utf8')).trim() }
      } catch {
        throw new EnrolmentError(
          `the node is not enrolled, and its join token file cannot be read; ${ANOTHER_TOKEN}`,
          { transient: false },
        )
      }
    },
    refused: (status) =>
      new EnrolmentError(
        status === 403
          ? `the fleet did not take the join token: it is unknown, used, expired or for another node; ${ANOTHER_TOKEN}`
          : `the fleet refused the enrolment (${status}); ${ANOTHER_TOKEN}`,
        { transient: false },
      ),
    async done() {
      // A used token is of no worth, but it looks like one to whoever finds it. Its folder may be read-only.
      if (file !== undefined) await rm(file, { force: true }).catch(() => {})
    },
  }
}

function bySvid({ certFile, keyFile }: NonNullable<AgentConfig['svid']>): Joining {
  // Whoever writes the files may be late, or at it just now.
  const notYet = (why: string) =>
    new EnrolmentError(`${why}: is SPIRE's agent running, and who writes its SVID to files?`, {
      transient: true,
    })
  return {
    remedy: 'start the agent again: its SVID enrols it anew',
    async read() {
      let cert: string
      let key: string
      try {
        ;[cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
      } catch (error) {
        const { code, path } = error as NodeJS.ErrnoException
        throw notYet(`the SVID cannot be read (${code} ${path})`)
      }
      let isPair: boolean
      let endsAt: number
      try {
        isPair = certificateMatches(cert, publicKeyOf(key))
        endsAt = Date.parse(new X509Certificate(cert).validTo)
      } catch {
        throw notYet(`${certFile} and ${keyFile} are no certificate and key in PEM`)
      }
      if (!isPair) throw notYet(`${keyFile} is not the key of ${certFile}`)
      if (endsAt <= Date.now()) throw notYet(`the SVID in ${certFile} has ended`)
      return { cert, key }
    },
    refused(status, reason) {
      const said = reason === undefined ? `(${status})` : `(${status}: ${reason})`
      if (status === 401)
        return new EnrolmentError(
          `the fleet does not trust the SVID ${said}: is its bundle (FLEET_SVID_BUNDLE_FILE) of this trust domain, and fresh?`,
          { transient: true },
        )
      if (status === 502)
        return new EnrolmentError(`the fleet could not enrol the node ${said}`, { transient: true })
      if (status === 403)
        return new EnrolmentError(
          `the fleet did not take the SVID ${said}: see the node's registration entry in SPIRE, and FLEET_SVID_ID of the fleet`,
          { transient: false },
        )
      return new EnrolmentError(
        `the fleet refused the enrolment ${said}; a release that knows join tokens alone does that`,
        { transient: false },
      )
    },
    done: async () => {},
  }
}
