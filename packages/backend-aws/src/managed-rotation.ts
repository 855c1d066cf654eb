import {
  type Authority,
  type AwsManagedRotationSpec,
  type Call,
  type Minted,
  RekeyError,
  type Secret,
} from '@rekey/contracts'
import type { Labels, SecretsManager } from './client.ts'
import { inTurn } from './in-turn.ts'
import type { LoginServer } from './login-server.ts'
import { managedSecret } from './managed-secret.ts'
import { CURRENT, isFinished, PREVIOUS, pendingIn, versionWith } from './rotation-labels.ts'
import type { Rotations } from './rotations.ts'
import { usernameIn } from './username.ts'
import { uuidV5 } from './version-id.ts'

/** The user of the generation in use, and the one that the function sets for the next. */
const SLOTS = 2
/** How many runs may try to overwrite a user. The first sets the other one where no version of that one is left. */
const RUNS = 6
/** How the version id begins of a run that was made only to overwrite a password, and whose value nobody is given. */
const SPARE = 'rekey-spare-'
const isSpare = (versionId: string) => versionId.startsWith(SPARE)
/** How long a password that was just set may be refused: endpoints that are standbys replay it later. */
const LAG_MS = 3_000
const AGAIN_MS = 100
const WRONG_PASSWORD = '28P01'
/** The password was right, or nobody has looked at it: whoever lets the user log in again may have it back. */
const NO_LOGIN = '28000'

export type ManagedRotationOptions = {
  /** The credential's name: with the generation it makes the version id, so that it is one in every attempt. */
  credential: string
  /** The version ids of the generations that were kept. */
  keyIds: Readonly<Record<number, string>>
  server: LoginServer
  /** For how long one attempt follows the function. */
  followMs?: number
  /** How often it looks. */
  pollMs?: number
  /** How long AWS may take to notice that the function is done. */
  finishMs?: number
}

/**
 * The values that a secret's own rotation function makes, for two users that take turns. Each run sets the user that
 * AWSCURRENT does not name. So before a run, AWSCURRENT is put on the generation that must live; and what ends a generation is
 * one run more, whose value nobody gets.
 */
export function managedRotation(
  aws: { secrets: SecretsManager; rotations: Rotations },
  spec: Omit<AwsManagedRotationSpec, 'kind' | 'connection' | 'watcher' | 'endpoints' | 'refusalLagMs'>,
  { credential, keyIds, server, followMs = 5_000, pollMs = 250, finishMs = 10_000 }: ManagedRotationOptions,
): Required<Pick<Authority, 'mint' | 'install' | 'revoke' | 'show' | 'sessions'>> & Authority {
  const { secretId } = spec
  const secret = managedSecret(aws, spec, { followMs, pollMs, finishMs, probe: server.probe })
  const versionOf = (generation: number) =>
    keyIds[generation] ?? uuidV5(`${secretId}|${credential}|${generation}|rotate`)
  const endingsOf = (versionId: string) =>
    Array.from({ length: RUNS }, (_, run) => `${SPARE}${uuidV5(`${secretId}|${versionId}|end${run}`)}`)
  const isKept = (versionId: string) => Object.values(keyIds).includes(versionId)

  const gone = (generation: number) =>
    new RekeyError(
      'not_allowed_now',
      `version ${versionOf(generation)} of generation ${generation} has no label at the secret ${secretId}: its password was ended, or overwritten by a later run of the function`,
    )

  /** The next run sets the user that `stays` does not name: whoever is still logged in as that one would be cut off. */
  async function refuseInUse(stays: string, labels: Labels, call: Call): Promise<void> {
    if (call.urgent) return
    const mine = await secret.valueAt(stays, call)
    for (const id of labels.keys()) {
      const theirs = id === stays ? undefined : await secret.valueAt(id, call)
      const user = theirs && usernameIn(theirs)
      if (user === undefined || (mine && usernameIn(mine) === user)) continue
      const open = await server.sessions(user, call)
      if (open > 0)
        throw new RekeyError(
          'not_allowed_now',
          `${user} has ${open} open ${open === 1 ? 'session' : 'sessions'}, and the function would overwrite its password: whoever has it must first read the secret ${secretId} again`,
        )
    }
  }

  /** Puts AWSCURRENT where the next run spares the generation in use. Resolves to where that is. */
  async function makeReady(generation: number, call: Call): Promise<string> {
    const { labels } = await secret.look(call)
    const others = Object.entries(keyIds).filter(
      ([of, id]) => of !== `${generation}` && isFinished(labels.get(id)),
    )
    const live: typeof others = []
    // A password that was overwritten by hand keeps its label, and holds no place.
    for (const [of, id] of others) {
      const value = await secret.valueAt(id, call)
      if (value && !(await isOverwritten(value, call))) live.push([of, id])
    }
    if (live.length >= SLOTS)
      throw new RekeyError(
        'not_allowed_now',
        `generations ${live.map(([of]) => of).join(' and ')} of ${credential} have the two users of the secret ${secretId}, and one of them must end first`,
      )
    const [, stays = versionWith(labels, CURRENT)] = live[0] ?? []
    if (stays === undefined) throw new RekeyError('bad_response', `the secret ${secretId} has no AWSCURRENT`)
    if (live.length > 0) await refuseForeign(stays, labels, call)
    await refuseInUse(stays, labels, call)
    await secret.moveCurrent(stays, call)
    return stays
  }

  /** What readers of the secret get was made by Rekey, or before it. An emergency takes it over. */
  async function refuseForeign(ours: string, labels: Labels, call: Call): Promise<void> {
    if (call.urgent) return
    const current = versionWith(labels, CURRENT)
    if (current === undefined || current === ours || isKept(current) || isSpare(current)) return
    await secret.refuseNewer(current, ours, call)
  }

  /** Takes a run's label away: its later steps do nothing for a version that is not pending. */
  async function giveUp(versionId: string, call: Call): Promise<Secret | undefined> {
    const value = await secret.valueAt(versionId, call)
    if (pendingIn((await secret.look(call)).labels) === versionId) await secret.forget(versionId, call)
    // The first step writes the value, and the label with it, whatever became of that since.
    if (value === undefined) await secret.expectOver(versionId, call)
    return value
  }

  /** Runs the function until the password of a version is another one. */
  async function end(versionId: string, call: Call): Promise<void> {
    const value = await giveUp(versionId, call)
    if (!value) return
    await refuseShutOut(value, call)
    for (const token of endingsOf(versionId)) {
      let from: string | undefined
      const state = await secret.stateOf(token, call)
      if (state !== 'pending') {
        if (await isOverwritten(value, call)) return settle(versionId, call)
        // It has set the other user, or somebody gave it up.
        if (state !== 'absent') continue
        from = await standBeside(versionId, value, token, call)
      }
      await secret.run(token, from, call)
    }
    if (await isOverwritten(value, call)) return settle(versionId, call)
    throw new RekeyError(
      'bad_response',
      `the function of the secret ${secretId} ran again and again, and the password of version ${versionId} is still accepted: does it set the user that AWSCURRENT does not name?`,
    )
  }

  /**
   * Puts AWSCURRENT on a version of the other user: then the run of `token` sets the user of this one. Where no login of the
   * other user works, the run sets that one, and the next run this one.
   */
  async function standBeside(
    versionId: string,
    value: Secret,
    token: string,
    call: Call,
  ): Promise<string | undefined> {
    const { labels } = await secret.look(call)
    // Another worker has begun, from there.
    if (pendingIn(labels) === token) return undefined
    const finished = [versionWith(labels, CURRENT), ...labels.keys()].filter(
      (id) => id !== undefined && id !== versionId && isFinished(labels.get(id)),
    )
    for (const id of finished as string[]) {
      const theirs = await secret.valueAt(id, call)
      const user = theirs && usernameIn(theirs)
      if (!theirs || user === undefined || user === usernameIn(value)) continue
      if ((await server.probe(theirs, call)).some(({ verdict }) => verdict !== 'accepted')) continue
      await secret.moveCurrent(id, call)
      return id
    }
    if (!isFinished(labels.get(versionId))) return versionWith(labels, CURRENT)
    await secret.moveCurrent(versionId, call)
    return versionId
  }

  /** Readers of the secret get a generation in use again, or what was there before; not what only overwrote a password. */
  async function settle(ended: string, call: Call): Promise<void> {
    const { labels } = await secret.look(call)
    const current = versionWith(labels, CURRENT)
    if (current === undefined || !endingsOf(ended).includes(current)) return
    // A run that started from there goes on from there.
    if (pendingIn(labels) !== undefined) return
    const stays = Object.values(keyIds).find((id) => id !== ended && isFinished(labels.get(id)))
    const back = stays ?? versionWith(labels, PREVIOUS)
    if (back !== undefined) await secret.moveCurrent(back, call)
  }

  /** Before readers of the secret are put back on what they had: with a single user, that is dead. */
  async function refuseUnfit(value: Secret, call: Call): Promise<void> {
    const user = usernameIn(value)
    if (user === undefined)
      throw new RekeyError(
        'value_refused',
        `the function of the secret ${secretId} made a value that is no JSON with a username and a password`,
      )
    const { labels } = await secret.look(call)
    const before = versionWith(labels, PREVIOUS)
    const theirs = before === undefined ? undefined : await secret.valueAt(before, call)
    if (theirs && !theirs.equals(value) && usernameIn(theirs) === user)
      throw new RekeyError(
        'invalid_configuration',
        `the function of the secret ${secretId} changed the password of ${user} itself: it is one for a single user. Give the secret one for alternating users`,
      )
  }

  /** The function tries what it made, and cannot: nothing would come of a run. */
  async function refuseShutOut(value: Secret, call: Call): Promise<void> {
    if (!(await server.probe(value, call)).some(({ seen }) => seen === NO_LOGIN)) return
    const user = usernameIn(value)
    throw new RekeyError(
      'invalid_configuration',
      `${user} may not log in (${NO_LOGIN}), which says nothing of its password, so that is not ended: let it log in again, and the function overwrites it; or set one that nobody knows (alter role "${user}" login password '…')`,
    )
  }

  /** Whether its password is another one at every endpoint. Throws where one shows nothing. */
  async function isOverwritten(value: Secret, call: Call): Promise<boolean> {
    const seen = await server.probe(value, call)
    const unknown = seen.find(({ verdict }) => verdict === 'unknown')
    if (unknown)
      throw new RekeyError(
        call.signal.aborted ? 'backend_timeout' : 'backend_unavailable',
        `a password of the secret ${secretId} was tried at ${unknown.endpoint}: ${unknown.seen}`,
      )
    return seen.every(({ verdict, seen }) => verdict === 'refused' && seen === WRONG_PASSWORD)
  }

  async function userOf(generation: number, call: Call): Promise<string | undefined> {
    const value = await secret.valueAt(versionOf(generation), call)
    return value && usernameIn(value)
  }

  /** One version id in every attempt: what an earlier one could not keep is what this one gets. */
  async function mint(known: readonly string[], generation: number, call: Call): Promise<Minted> {
    const token = versionOf(generation)
    if (known.includes(token))
      throw new RekeyError(
        'foreign_writer',
        `version ${token} of the secret ${secretId} was there before generation ${generation} was to be made: another Rekey has a credential of this name, or this one had before its ledger was lost. Roll back: the next generation has another version`,
      )
    await secret.expectRotates(call)
    const state = await secret.stateOf(token, call)
    if (state === 'dropped')
      throw new RekeyError(
        'value_lost',
        `version ${token} of the secret ${secretId} was made for generation ${generation}, and overwritten or given up since`,
      )
    let from: string | undefined
    if (state === 'absent') {
      await secret.expectFree(call)
      from = await makeReady(generation, call)
    }
    await secret.run(token, from, call)
    const value = await secret.valueAt(token, call)
    if (!value) throw gone(generation)
    await refuseUnfit(value, call)
    await secret.standBack(token, call)
    return { keyId: token, value }
  }

  const alone = <T>(call: Call, work: () => Promise<T>) => inTurn(aws.rotations, secretId, call, work)

  return {
    kind: 'aws-managed-rotation',
    direction: 'outbound',
    slots: SLOTS,
    valueFrom: 'provider',

    async list(call) {
      const { labels } = await secret.look(call)
      return [...labels.keys()].filter((id) => !isSpare(id))
    },

    mint: (known, call, generation) => alone(call, () => mint(known, generation, call)),

    discard: (keyId, call) => alone(call, () => end(keyId, call)),

    async install({ generation, keyId, value }, call) {
      if (!(await secret.hasLabel(keyId, call))) throw gone(generation)
      const until = performance.now() + LAG_MS
      for (;;) {
        const seen = await server.probe(value, call)
        const bad = seen.find(({ verdict }) => verdict !== 'accepted')
        if (!bad) return
        if (bad.verdict === 'unknown' || performance.now() > until)
          throw new RekeyError(
            call.signal.aborted
              ? 'backend_timeout'
              : bad.seen === '53300'
                ? 'throttled'
                : 'backend_unavailable',
            `the login of generation ${generation} was tried at ${bad.endpoint}: ${bad.seen}`,
          )
        await secret.pause(AGAIN_MS, call)
        if (!(await secret.hasLabel(keyId, call))) throw gone(generation)
      }
    },

    show: (generation, call) =>
      alone(call, async () => {
        const id = versionOf(generation)
        const { labels } = await secret.look(call)
        if (!isFinished(labels.get(id))) throw gone(generation)
        await refuseForeign(id, labels, call)
        await secret.moveCurrent(id, call)
      }),

    revoke: (generation, call) => alone(call, () => end(versionOf(generation), call)),

    async sessions(generation, call) {
      const user = await userOf(generation, call)
      if (user !== undefined) return server.sessions(user, call)
      if (keyIds[generation] === undefined) return 0
      throw new RekeyError('value_lost', `nobody knows whose login version ${keyIds[generation]} was`)
    },

    /** Those of the user. Once a later generation has that user, they are that one's. */
    async endSessions(generation, call) {
      const user = await userOf(generation, call)
      if (user === undefined) return
      const { labels } = await secret.look(call)
      for (const [of, id] of Object.entries(keyIds))
        if (of !== `${generation}` && isFinished(labels.get(id)) && (await userOf(Number(of), call)) === user)
          return
      await server.endSessions(user, call)
    },

    probe: (value, call) => server.probe(value, call),
  }
}
