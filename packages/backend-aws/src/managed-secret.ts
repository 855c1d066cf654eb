import { setTimeout as delay } from 'node:timers/promises'
import { type AwsManagedRotationSpec, type Call, RekeyError, type Secret } from '@rekey/contracts'
import type { SecretsManager } from './client.ts'
import type { LoginServer } from './login-server.ts'
import { CURRENT, isFinished, PENDING, PREVIOUS, pendingIn, versionWith } from './rotation-labels.ts'
import type { RotatedSecretFacts, Rotations } from './rotations.ts'

/**
 * One secret with a rotation function: its labels, and one run of the function at a time. A run is known by the version that
 * it makes. While it is under way that version is AWSPENDING; when it has succeeded, AWSCURRENT is on it. Of a run that
 * failed AWS says nothing: its version stays pending.
 */
export function managedSecret(
  { secrets, rotations }: { secrets: SecretsManager; rotations: Rotations },
  {
    secretId,
    region,
    functionMs,
    scheduleDaysMin,
  }: Pick<AwsManagedRotationSpec, 'secretId' | 'region' | 'functionMs' | 'scheduleDaysMin'>,
  {
    followMs,
    pollMs,
    finishMs,
    probe,
  }: { followMs: number; pollMs: number; finishMs: number; probe: LoginServer['probe'] },
) {
  const about = `the secret ${secretId} in ${region}`
  const look = (call: Call) => rotations.facts(secretId, call)

  async function valueAt(versionId: string, call: Call): Promise<Secret | undefined> {
    const found = await secrets.get(secretId, { versionId }, call)
    return found && found.text.reveal() !== '' ? found.text : undefined
  }

  async function pause(ms: number, { signal }: Call): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => {
      throw new RekeyError('backend_timeout', `${about}: the deadline passed`)
    })
  }

  /** Off what is current now; AWS puts AWSPREVIOUS there. A pending label left on it would be in the next run's way. */
  async function moveCurrent(to: string, call: Call): Promise<void> {
    const { labels } = await look(call)
    const from = versionWith(labels, CURRENT)
    if (from === to) return
    const pending = pendingIn(labels)
    if (pending !== undefined)
      throw new RekeyError(
        'backend_unavailable',
        `${about}: a run of its function is under way, of version ${pending}, and goes by what AWSCURRENT is on`,
      )
    if (from !== undefined && labels.get(from)?.includes(PENDING)) await forget(from, call)
    const move = { label: CURRENT, to, ...(from !== undefined && { from }) }
    if ((await secrets.moveLabel(secretId, move, call)) === 'done') return
    if (versionWith((await look(call)).labels, CURRENT) === to) return
    throw new RekeyError('backend_unavailable', `${about}: AWSCURRENT moved while it was to be moved`)
  }

  /** Takes AWSPENDING away. `refused`: it is not there any more, which is what we want. */
  async function forget(versionId: string, call: Call): Promise<void> {
    await secrets.moveLabel(secretId, { label: PENDING, from: versionId }, call)
  }

  /** How long nothing of it has changed, on two clocks. */
  const stillMs = ({ changedAt }: RotatedSecretFacts) => Date.now() - changedAt

  async function stuck(
    token: string,
    facts: RotatedSecretFacts,
    isAsked: boolean,
    call: Call,
  ): Promise<RekeyError> {
    const value = await valueAt(token, call)
    const step = value ? await stepAfterCreation(value, call) : 'createSecret'
    const seconds = Math.round(stillMs(facts) / 1_000)
    const where = `the rotation function of ${about} stands at ${step} of version ${token}, and nothing has changed for ${seconds} s`
    // What was asked for again has as long once more.
    return isAsked && stillMs(facts) > 2 * functionMs
      ? new RekeyError(
          'function_failed',
          `${where}: look into the log of ${facts.functionArn}. AWSPENDING stays there until a run succeeds`,
        )
      : new RekeyError('backend_unavailable', where)
  }

  /** As far as it shows from outside: the second step is the one that sets the password. */
  async function stepAfterCreation(value: Secret, call: Call): Promise<string> {
    const seen = (await probe(value, call)).map(({ verdict }) => verdict)
    if (seen.every((verdict) => verdict === 'accepted')) return 'testSecret or finishSecret'
    return seen.includes('refused') ? 'setSecret' : 'setSecret, testSecret or finishSecret'
  }

  /** Somebody's whole run may have come between the look and ours, which would then set the user in use. */
  async function expectStandsOn(from: string | undefined, token: string, call: Call): Promise<void> {
    const { labels } = await look(call)
    if (versionWith(labels, CURRENT) === from || isFinished(labels.get(token))) return
    await forget(token, call)
    throw new RekeyError(
      'backend_unavailable',
      `${about}: AWSCURRENT moved while a run began, which was given up`,
    )
  }

  /** Of a run: `dropped` was overwritten by a later one, or somebody gave it up. */
  async function stateOf(token: string, call: Call): Promise<'absent' | 'pending' | 'finished' | 'dropped'> {
    const found = (await secrets.versions(secretId, call))?.find(({ versionId }) => versionId === token)
    if (!found) return 'absent'
    if (isFinished(found.labels)) return 'finished'
    return found.labels.includes(PENDING) ? 'pending' : 'dropped'
  }

  const isOverdue = (facts: RotatedSecretFacts) => stillMs(facts) > functionMs

  async function start(token: string, call: Call): Promise<void> {
    if ((await rotations.rotate(secretId, token, call)) === 'started') return
    if (pendingIn((await look(call)).labels) === undefined)
      throw new RekeyError(
        'invalid_configuration',
        `${about}: AWS does not start its rotation function; is it still there, and turned on?`,
      )
  }

  /**
   * The function moves AWSCURRENT as its last act, and AWS notices a little later that it is done. Until then that label is left
   * where it is, for AWS to find it there.
   */
  const isNoticed = (labels: readonly string[] | undefined, facts: RotatedSecretFacts) =>
    !labels?.includes(CURRENT) || facts.rotatedAt >= facts.changedAt || stillMs(facts) > finishMs

  /** Until the function is done with a version, for a while. `isAsked`: this attempt has had it run. */
  async function follow(token: string, isAsked: boolean, call: Call): Promise<void> {
    const until = performance.now() + followMs
    for (;;) {
      const facts = await look(call)
      const labels = facts.labels.get(token)
      if (isFinished(labels) && isNoticed(labels, facts)) return
      const pending = pendingIn(facts.labels)
      if (!isFinished(labels) && pending !== token)
        throw notOurs(pending, facts, `version ${token} is not pending any more`)
      if (performance.now() > until) throw await stuck(token, facts, isAsked, call)
      await pause(pollMs, call)
    }
  }

  function notOurs(pending: string | undefined, facts: RotatedSecretFacts, why: string): RekeyError {
    if (pending === undefined)
      return new RekeyError(
        'foreign_writer',
        `${about}: ${why}, because somebody took AWSPENDING away. Roll back: the next rotation makes another version`,
      )
    const who = `somebody else has a rotation of ${about} under way, of version ${pending}`
    if (!isOverdue(facts)) return new RekeyError('backend_unavailable', who)
    return new RekeyError(
      'foreign_writer',
      `${who}, and nothing has changed for ${Math.round(stillMs(facts) / 1_000)} s: let it finish, or take its label away (aws secretsmanager update-secret-version-stage --version-stage ${PENDING} --remove-from-version-id ${pending})`,
    )
  }

  return {
    look,
    valueAt,
    pause,
    moveCurrent,
    forget,

    hasLabel: async (versionId: string, call: Call) => (await look(call)).labels.has(versionId),

    stateOf,

    /** A run that was given up before it had a value makes none any more. */
    async expectOver(token: string, call: Call): Promise<void> {
      if ((await stateOf(token, call)) === 'absent') return
      const facts = await look(call)
      if (isOverdue(facts)) return
      throw new RekeyError(
        'backend_unavailable',
        `${about}: the run of version ${token} was given up at its first step, and may write a value for ${Math.ceil((functionMs - stillMs(facts)) / 1_000)} s more, which would be ended then`,
      )
    },

    /** Nobody has a run under way. */
    async expectFree(call: Call): Promise<void> {
      const facts = await look(call)
      const pending = pendingIn(facts.labels)
      if (pending !== undefined) throw notOurs(pending, facts, '')
    },

    /** What AWS would refuse, or do by itself behind our back. */
    async expectRotates(call: Call): Promise<void> {
      const { functionArn, isEnabled, owningService, scheduleDays } = await look(call)
      const refuse = (why: string) => new RekeyError('invalid_configuration', `${about} ${why}`)
      if (owningService !== undefined)
        throw refuse(`belongs to ${owningService}, which rotates it without a function: Rekey cannot`)
      if (functionArn === undefined)
        throw refuse(
          'has no rotation function: give it one (aws secretsmanager rotate-secret --rotation-lambda-arn …)',
        )
      const set = `aws secretsmanager rotate-secret --secret-id ${secretId} --no-rotate-immediately --rotation-rules AutomaticallyAfterDays=1000`
      if (!isEnabled) throw refuse(`has a rotation function that is turned off: ${set}`)
      // An emergency must get its value.
      if (!call.urgent && (scheduleDays === undefined || scheduleDays < scheduleDaysMin))
        throw refuse(
          `is rotated by AWS itself every ${scheduleDays ?? 'so many'} days, which may end what nodes use: ${set}`,
        )
    },

    /** Somebody rotated after us: what readers of the secret have would be overwritten. */
    async refuseNewer(current: string, ours: string, call: Call): Promise<void> {
      const versions = (await secrets.versions(secretId, call)) ?? []
      const madeAt = (id: string) => versions.find(({ versionId }) => versionId === id)?.createdAt ?? 0
      if (madeAt(current) <= madeAt(ours) && madeAt(ours) > 0) return
      throw new RekeyError(
        'foreign_writer',
        `${about} shows version ${current}, which somebody else made after Rekey's ${ours}. When nobody uses it any more, show Rekey's again (aws secretsmanager update-secret-version-stage --version-stage ${CURRENT} --move-to-version-id ${ours} --remove-from-version-id ${current})`,
      )
    },

    /**
     * One run of the function, or the rest of one that is under way; what was finished stays so. It begins only where AWSCURRENT is
     * still on `from`: a run beside it may have moved that, and this one would set the wrong user.
     */
    async run(token: string, from: string | undefined, call: Call): Promise<void> {
      const facts = await look(call)
      const labels = facts.labels.get(token)
      const pending = pendingIn(facts.labels)
      if (isFinished(labels)) return follow(token, false, call)
      if (pending !== undefined && pending !== token) throw notOurs(pending, facts, '')
      // A run that has stood still for long has failed: AWS lets the function try the same version again.
      if (pending === undefined && (from === undefined || versionWith(facts.labels, CURRENT) !== from))
        throw new RekeyError('backend_unavailable', `${about}: AWSCURRENT moved before a run could begin`)
      const isAsked = pending === undefined || isOverdue(facts)
      if (isAsked) await start(token, call)
      if (pending === undefined) await expectStandsOn(from, token, call)
      await follow(token, isAsked, call)
    },

    /** After a run: readers of the secret go on with what they had, until they are shown the new one. */
    async standBack(token: string, call: Call): Promise<void> {
      const { labels } = await look(call)
      const before = versionWith(labels, PREVIOUS)
      if (versionWith(labels, CURRENT) === token && before !== undefined) await moveCurrent(before, call)
      else if (labels.get(token)?.includes(PENDING)) await forget(token, call)
    },
  }
}
