import {
  type Call,
  type ListedVersion,
  type ReadValue,
  RekeyError,
  type Secret,
  type Store,
  type StoredValue,
} from '@rekey/contracts'
import type { Labels, SecretsManager, SecretVersion, VersionMark } from './client.ts'
import type { Bound } from './connection.ts'
import { type Replica, reachReplicas } from './replicas.ts'
import { checkRoom } from './room.ts'
import {
  EMPTY,
  isBlankText,
  liveValueOf,
  othersBeside,
  secretString as secretText,
  shownValueOf,
  storedValueOf as storedIn,
  TOMBSTONE,
  withdrawnBeside,
} from './secret-string.ts'
import { emptyVersion, generationVersion, restoreVersion, withdrawalVersion } from './version-id.ts'

const PENDING = 'AWSPENDING'
const CURRENT = 'AWSCURRENT'
/** Only for a moment: a version cannot be made without a label. */
const DESTROYED = 'REKEYDESTROYED'
/** Only until the version of a withdrawal has taken AWSCURRENT over. */
const WITHDRAWING = 'REKEYWITHDRAWING'
/** Of its own for each call, because a label that another call takes over would say that this one is done. */
const RESTORING = 'REKEYRESTORING-'
const restoring = (versionId: string) => `${RESTORING}${versionId.slice(0, 8)}`
const PREVIOUS = 'AWSPREVIOUS'
const LABELS: Record<string, 'pending' | 'current' | 'previous'> = {
  [PENDING]: 'pending',
  [CURRENT]: 'current',
  [PREVIOUS]: 'previous',
}
/** Stays on a generation's version until it is destroyed: AWS's own labels move on. */
const KEEP = 'REKEY-'
const keep = (generation: number) => `${KEEP}${generation}`

/**
 * A credential in AWS Secrets Manager. A rotation costs four calls until readers have the new value, two of them writes:
 * list and put to stage; describe and move AWSCURRENT to promote. The end of the old value costs three more: describe, and
 * each of its two labels taken away.
 *
 * - AWSPENDING stays on what was promoted, as AWS allows, until the next staging takes it: one write less. Beside
 *   AWSCURRENT or AWSPREVIOUS it says nothing.
 * - The version id of a generation follows from its name alone, so AWS itself lets the first staged value win.
 * - Promotion is a compare-and-set: AWS moves AWSCURRENT only off the version that we name.
 * - AWS makes the very first version of a secret current, whatever label is asked for. A first version without a
 *   value (`emptyVersion`) takes that, so that a staged value is seen by nobody.
 * - A version without a label counts as gone: nothing but its id leads to it, and AWS removes it in its own time.
 *   While it is there, its id is in use, so that its generation cannot be staged again. So each generation has a label
 *   of its own, beside those of AWS, from its staging until it is destroyed.
 * - A withdrawal moves AWSCURRENT to a version without a value, by the same compare-and-set.
 * - `field` is where readers find the value, with others beside it. These are taken over from what is current, which costs
 *   one call more to stage.
 */
export function secretsManagerStore(
  client: SecretsManager,
  ref: { secretId: string; field?: string | undefined; replicas?: readonly Replica[] },
): Store {
  const { secretId, field, replicas = [] } = ref
  const empty = emptyVersion(secretId)
  const versionOf = (generation: number) => generationVersion(secretId, generation)

  const foreign = (why: string) => new RekeyError('foreign_writer', `secret ${secretId}: ${why}`)

  const storedValueOf = (text: Secret) => storedIn(text, field)

  /** What readers find beside the value now. */
  async function othersNow(bound: Bound): Promise<Record<string, unknown>> {
    if (field === undefined) return {}
    const current = await client.get(secretId, { label: CURRENT }, bound)
    return current ? othersBeside(current.text, field) : {}
  }

  async function secretString(value: StoredValue, bound: Bound): Promise<Secret> {
    return secretText(value, field, await othersNow(bound))
  }

  function readValueOf(found: SecretVersion): ReadValue {
    const stored = storedValueOf(found.text)
    if (!stored) throw foreign('it holds a version that Rekey did not write')
    return { ...stored, storeVersion: found.versionId }
  }

  async function generationAt(versionId: string, bound: Bound): Promise<number | undefined> {
    const found = await client.get(secretId, { versionId }, bound)
    return found && storedValueOf(found.text)?.generation
  }

  /** Known by its name alone, without reading it: nobody else's version has the id of a generation. */
  function ownGeneration(versionId: string, labels: readonly string[]): number | undefined {
    const kept = labels.find((label) => label.startsWith(KEEP))
    const generation = Number(kept?.slice(KEEP.length))
    return kept && versionOf(generation) === versionId ? generation : undefined
  }

  /** What is shown in this region is shown in the others, too. Throws where it is not yet. */
  const shownEverywhere = (versionId: string, bound: Bound) =>
    reachReplicas({ client, secretId, versionId, replicas }, bound)

  /** The versions, other than its own, that hold a generation: those put back by `restore`. */
  async function restoredCopies(generation: number, labels: Labels, bound: Bound): Promise<SecretVersion[]> {
    const copies: SecretVersion[] = []
    for (const [versionId, held] of labels) {
      if (versionId === empty || ownGeneration(versionId, held) !== undefined) continue
      if (versionId === versionOf(generation)) continue
      const found = await client.get(secretId, { versionId }, bound)
      if (found && storedValueOf(found.text)?.generation === generation) copies.push(found)
    }
    return copies
  }

  async function makeEmpty(labels: Labels | undefined, bound: Bound): Promise<void> {
    const regions = replicas.map(({ region }) => region)
    if (!labels) await client.create(secretId, empty, EMPTY, bound, regions)
    else if (labels.size === 0)
      await client.put(secretId, { token: empty, text: EMPTY, labels: [CURRENT] }, bound)
  }

  /** Our own older leftover may lose the label: its retirement destroys it anyway. Nobody else's may. */
  async function checkPending(labels: Labels, value: StoredValue, bound: Bound): Promise<void> {
    const pending = pendingIn(labels)
    if (pending === undefined) return
    const generation =
      ownGeneration(pending, labels.get(pending) ?? []) ?? (await generationAt(pending, bound))
    if (generation === undefined || pending !== versionOf(generation)) {
      throw foreign(`version ${pending} is pending, and Rekey did not write it`)
    }
    if (generation > value.generation) {
      throw new RekeyError(
        'not_allowed_now',
        `secret ${secretId}: generation ${generation} is pending already`,
      )
    }
  }

  async function dropLabel(
    label: string,
    versionId: string,
    held: readonly string[] | undefined,
    bound: Bound,
  ): Promise<void> {
    // `refused` means that it is not there any more, which is what we want.
    if (held?.includes(label)) await client.moveLabel(secretId, { label, from: versionId }, bound)
  }

  /** Takes the id of a generation that was never staged, so that a staging that is still on its way comes too late. */
  async function takeId(versionId: string, labels: Labels | undefined, bound: Bound): Promise<void> {
    if (!labels || labels.size === 0) await makeEmpty(labels, bound)
    const put = await client.put(secretId, { token: versionId, text: TOMBSTONE, labels: [DESTROYED] }, bound)
    if (put === 'done') await client.moveLabel(secretId, { label: DESTROYED, from: versionId }, bound)
    // Staged after we looked: the repeat of this call ends it.
    const found = put === 'taken' ? await client.get(secretId, { versionId }, bound) : undefined
    if (found && !isGone(found.labels)) {
      throw new RekeyError('bad_response', `secret ${secretId}: version ${versionId} was staged meanwhile`)
    }
  }

  async function promoteHere(
    generation: number,
    expected: string | undefined,
    call: Call,
    over: readonly number[],
  ): Promise<string> {
    const versionId = versionOf(generation)
    const labels = (await client.labels(secretId, call)) ?? new Map<string, string[]>()
    const current = versionWith(labels, CURRENT)
    if (current === versionId) return versionId
    if (current !== (expected ?? (current === undefined ? undefined : empty))) {
      // The generation may be current by a version that `restore` wrote.
      const held = current === undefined ? undefined : await generationAt(current, call)
      if (current && held === generation) return current
      if (held === undefined || !over.includes(held))
        throw foreign(`AWSCURRENT is on ${current ?? 'no version'}, not on ${expected ?? 'none'} as expected`)
    }
    if (!labels.get(versionId)?.includes(PENDING)) {
      if (current && (await generationAt(current, call)) === generation) return current
      const pending = pendingIn(labels)
      if (pending) throw foreign(`version ${pending} took AWSPENDING away`)
      // Its label may be gone (an old generation, or one that lost it); a version still there can be promoted.
      if (isGone(labels.get(versionId))) {
        throw new RekeyError(
          'value_lost',
          `secret ${secretId} has no pending value of generation ${generation}`,
        )
      }
    }
    const move = { label: CURRENT, to: versionId, ...(current !== undefined && { from: current }) }
    if ((await client.moveLabel(secretId, move, call)) === 'refused') {
      const now = versionWith((await client.labels(secretId, call)) ?? new Map(), CURRENT)
      if (now !== versionId) throw foreign(`AWSCURRENT went to ${now ?? 'no version'} in mid-promotion`)
    }
    return versionId
  }

  return {
    kind: 'aws-secrets-manager',

    async stage(value, call) {
      const versionId = versionOf(value.generation)
      const versions = await client.versions(secretId, call)
      const labels = versions && labelled(versions)
      if (!labels?.has(versionId)) {
        if (labels) await checkPending(labels, value, call)
        if (versions) checkRoom(`secret ${secretId}`, versions, call.urgent)
        if (!labels || labels.size === 0) await makeEmpty(labels, call)
        const marks = [PENDING, keep(value.generation)]
        const version = { token: versionId, text: await secretString(value, call), labels: marks }
        const put = await client.put(secretId, version, call)
        if (put === 'done') return { ...value, storeVersion: versionId }
        if (put === 'absent')
          throw new RekeyError('not_found', `secret ${secretId} was deleted in mid-rotation`)
      }
      const there = await client.get(secretId, { versionId }, call)
      if (!there)
        throw new RekeyError('bad_response', `secret ${secretId}: version ${versionId} came and went`)
      if (isGone(there.labels)) {
        throw new RekeyError(
          'value_lost',
          `secret ${secretId}: generation ${value.generation} was destroyed and is never staged again`,
        )
      }
      const stored = readValueOf(there)
      if (stored.generation !== value.generation)
        throw foreign(`version ${versionId} holds another generation`)
      return stored
    },

    async read(generation, call) {
      const own = await client.get(secretId, { versionId: versionOf(generation) }, call)
      if (own && !isGone(own.labels)) return readValueOf(own)
      const [restored] = await restoredCopies(
        generation,
        (await client.labels(secretId, call)) ?? new Map(),
        call,
      )
      return restored && readValueOf(restored)
    },

    async readCurrent(call) {
      const current = await client.get(secretId, { label: CURRENT }, call)
      return current && !isBlank(current) ? readValueOf(current) : undefined
    },

    async readLive(call) {
      const labels = await client.labels(secretId, call)
      const pending = labels && pendingIn(labels)
      if (pending !== undefined) {
        const generation = await generationAt(pending, call)
        if (generation === undefined || pending !== versionOf(generation))
          throw foreign(`version ${pending} is pending, and Rekey did not write it`)
      }
      const current = labels && (await client.get(secretId, { label: CURRENT }, call))
      if (!current || isBlank(current)) return undefined
      const where = `secret ${secretId}`
      if (current.binary)
        throw new RekeyError('not_adoptable', `${where} is binary: Rekey's values are texts, in JSON`)
      return { value: liveValueOf(current.text, field, where), storeVersion: current.versionId }
    },

    async readShown(call) {
      const current = await client.get(secretId, { label: CURRENT }, call).catch(async (error) => {
        if (!RekeyError.is(error) || error.code !== 'invalid_configuration') throw error
        // AWS says so of a secret that is scheduled for deletion, which a description tells.
        const labels = await client.labels(secretId, call).catch((why) => {
          if (RekeyError.is(why) && why.code === 'not_found') return undefined
          throw why
        })
        if (labels) throw error
        return undefined
      })
      if (!current || current.versionId === empty) return {}
      const value = current.binary ? undefined : shownValueOf(current.text, field)
      return { storeVersion: current.versionId, ...(value && { value }) }
    },

    async promote(generation, expected, call, over = []) {
      const promoted = await promoteHere(generation, expected, call, over)
      await shownEverywhere(promoted, call)
      return promoted
    },

    /**
     * As a withdrawal, beside the current one: a write that shows itself to readers at once, sent by a worker that wakes
     * after its time, would bring back what was replaced meanwhile.
     */
    async restore(value, call) {
      const token = restoreVersion(secretId, call.key)
      const mark = restoring(token)
      for (let turn = 0; turn < 5; turn++) {
        // In this order: what another worker does of the same call between the two is seen in the second.
        const labels = await client.labels(secretId, call)
        const ours = labels && (await client.get(secretId, { versionId: token }, call))
        if (ours && storedValueOf(ours.text)?.generation !== value.generation)
          throw new RekeyError('conflict', `secret ${secretId}: ${call.key} put back another value before`)
        if (ours && !isUnderWay(ours.labels)) {
          await dropLabel(mark, token, ours.labels, call)
          if (ours.labels.includes(CURRENT)) await shownEverywhere(token, call)
          return token
        }
        if (!labels || labels.size === 0) await makeEmpty(labels, call)
        if (!ours)
          await client.put(secretId, { token, text: await secretString(value, call), labels: [mark] }, call)
        const current = labels && versionWith(labels, CURRENT)
        // `refused`: somebody else moved it, perhaps a worker with the same call. The next turn tells.
        const from = current ?? (labels && labels.size > 0 ? undefined : empty)
        await client.moveLabel(secretId, { label: CURRENT, to: token, ...(from && { from }) }, call)
      }
      throw new RekeyError(
        'bad_response',
        `secret ${secretId}: AWSCURRENT moved under each of five tries of ${call.key}`,
      )
    },

    /**
     * A version without a value is made beside the current one, because only a label's move is a compare-and-set. It
     * loses its mark when it has become current, so that a repeat knows what is done, whatever is current by then.
     */
    async withdraw(generation, call) {
      const token = withdrawalVersion(secretId, call.key)
      for (let turn = 0; turn < 5; turn++) {
        // In this order: what another worker does of the same call between the two is seen in the second.
        const current = await client.get(secretId, { label: CURRENT }, call)
        const ours = await client.get(secretId, { versionId: token }, call)
        // What readers get is this call's own, whatever an older copy says of the second question.
        const done =
          current?.versionId === token ? current : ours && !isUnderWay(ours.labels) ? ours : undefined
        if (done) {
          await dropLabel(WITHDRAWING, token, done.labels, call)
          if (done.labels.includes(CURRENT)) await shownEverywhere(token, call)
          return token
        }
        if (!current || storedValueOf(current.text)?.generation !== generation) return undefined
        const text = withdrawnBeside(field === undefined ? {} : othersBeside(current.text, field))
        if (!ours) await client.put(secretId, { token, text, labels: [WITHDRAWING] }, call)
        // `refused`: somebody else moved it, perhaps a worker with the same call. The next turn tells.
        await client.moveLabel(secretId, { label: CURRENT, from: current.versionId, to: token }, call)
      }
      // Or AWS still answers as of before: retryable, so that a withdrawal is tried until it is settled.
      throw new RekeyError(
        'bad_response',
        `secret ${secretId}: AWSCURRENT moved under each of five tries of ${call.key}`,
      )
    },

    /**
     * Secrets Manager has no call that ends one version. Taking its labels away is all there is: AWS then counts the
     * version as deprecated and removes it in its own time, without notice. Until then whoever knows the version id
     * and has the right to read can still read it. So what makes a value worthless is its revocation, which comes
     * before this.
     */
    async destroy(generation, call) {
      const labels = await client.labels(secretId, call)
      const own = versionOf(generation)
      // The secret itself may be what a late staging makes.
      if (!labels) return takeId(own, labels, call)
      const copies = await restoredCopies(generation, labels, call)
      const versionIds = [...(labels.has(own) ? [own] : []), ...copies.map((copy) => copy.versionId)]
      if (versionIds.some((versionId) => labels.get(versionId)?.includes(CURRENT))) {
        throw new RekeyError(
          'not_allowed_now',
          `generation ${generation} is what readers of secret ${secretId} get; another must be current first`,
        )
      }
      for (const versionId of versionIds) {
        for (const label of labels.get(versionId) ?? []) {
          // `refused`: the label has moved on by itself.
          await client.moveLabel(secretId, { label, from: versionId }, call)
        }
      }
      if (!labels.has(own)) await takeId(own, labels, call)
    },

    async list(call) {
      const labels = (await client.labels(secretId, call)) ?? new Map<string, string[]>()
      const listed: ListedVersion[] = []
      for (const [storeVersion, stages] of labels) {
        if (storeVersion === empty || isGone(stages) || isUnderWay(stages)) continue
        const generation = await generationAt(storeVersion, call)
        listed.push({
          storeVersion,
          labels: stages.flatMap((stage) =>
            stage === PENDING && wasCurrent(stages) ? [] : (LABELS[stage] ?? []),
          ),
          ...(generation !== undefined && { generation }),
        })
      }
      return listed
    },
  }
}

/** A version that shows readers nothing. */
function isBlank({ text }: SecretVersion): boolean {
  return isBlankText(text)
}

/** The version of a withdrawal, or of one that was put back, that was made and never became current. */
function isUnderWay(labels: readonly string[]): boolean {
  const isMarked = labels.some((label) => label === WITHDRAWING || label.startsWith(RESTORING))
  return isMarked && !labels.includes(CURRENT) && !labels.includes(PREVIOUS)
}

/** AWS leaves a version without labels out of a description. */
function isGone(labels: readonly string[] | undefined): boolean {
  return !labels || labels.length === 0 || labels.includes(DESTROYED)
}

/** What is staged and was not promoted yet. */
function pendingIn(labels: Labels): string | undefined {
  const pending = versionWith(labels, PENDING)
  return pending !== undefined && wasCurrent(labels.get(pending) ?? []) ? undefined : pending
}

function wasCurrent(labels: readonly string[]): boolean {
  return labels.includes(CURRENT) || labels.includes(PREVIOUS)
}

function labelled(versions: readonly VersionMark[]): Labels {
  const held = versions.filter(({ labels }) => labels.length > 0)
  return new Map(held.map(({ versionId, labels }) => [versionId, labels]))
}

function versionWith(labels: Labels, label: string): string | undefined {
  for (const [versionId, held] of labels) if (held.includes(label)) return versionId
  return undefined
}
