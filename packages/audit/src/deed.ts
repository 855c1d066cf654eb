/** Activities of class 3004. `Other` has a name of its own, because OCSF has no word for it. */
export const ACTIVITIES = { Create: 1, Read: 2, Update: 3, Delete: 4, Enroll: 6, Unenroll: 7 } as const
export const LIVE_ACTIVITIES = {
  Enable: 8,
  Disable: 9,
  Activate: 10,
  Deactivate: 11,
  Suspend: 12,
  Resume: 13,
} as const
export const FINDING_ACTIVITIES = { Create: 1, Update: 2, Close: 3 } as const
export const SEVERITIES = { Informational: 1, Low: 2, Medium: 3, High: 4, Critical: 5 } as const
export const INCIDENT_STATUS = {
  New: { status_id: 1, status: 'New' },
  InProgress: { status_id: 2, status: 'In Progress' },
  Resolved: { status_id: 4, status: 'Resolved' },
  Closed: { status_id: 5, status: 'Closed' },
} as const

export type Severity = keyof typeof SEVERITIES

/** What an entry did to what, before it is put into the words of a class. */
export type Entity = { type: string; uid: string; name: string; generation?: number }

/** Something was done to a credential, a node, a document or an event. */
export type EntityDeed = {
  class: 'entity'
  activity: keyof typeof ACTIVITIES | keyof typeof LIVE_ACTIVITIES | { other: string }
  /** Absent: the credential of the entry's rotation. */
  entity?: Entity
  generation?: number | null
  message: string
  /** Absent: it succeeded. */
  failed?: boolean
  severity?: Severity
  waiver?: Waiver
  refusedBy?: Refusal
}

/** The policies that refused it, of the set with this digest. None: no policy permits it. */
export type Refusal = { policies: string[]; digest: string }

/** What an emergency leaves out that protects clients otherwise, and who took that upon themselves. */
export type Waiver = {
  mode: 'expedite' | 'contain'
  /** Null: a worker of ours came to it later; the emergency's own records say who ordered it. */
  decidedBy: string | null
  waived: string[]
}

/** Something is not as it should be, or no longer so. All records of one finding share its `uid`. */
export type FindingDeed = {
  class: 'compliance' | 'detection'
  activity: keyof typeof FINDING_ACTIVITIES
  uid: string
  title: string
  /** The promise that is not kept. */
  control: string
  message: string
  severity: Severity
  resource?: Entity
  seen?: Seen
}

/** What a detection was made from: requests from one address, or from several that are not named. */
export type Seen = { address: string | null; nodes: string[]; count: number; firstAt: string; lastAt: string }

/** A value leaked. All records of one rotation's emergency share its `uid`. */
export type IncidentDeed = {
  class: 'incident'
  activity: keyof typeof FINDING_ACTIVITIES
  status: keyof typeof INCIDENT_STATUS
  uid: string
  title: string
  message: string
  severity: Severity
}

/** The auditor works, and there was nothing else to say. */
export type HeartbeatDeed = { class: 'heartbeat'; message: string }

/** Nobody has said what this type means: it is recorded all the same. */
export type UnknownDeed = { class: 'unknown'; message: string }

export type Deed = EntityDeed | FindingDeed | IncidentDeed | HeartbeatDeed | UnknownDeed
